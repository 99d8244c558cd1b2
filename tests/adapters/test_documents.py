"""Every document the product sends, against Shopify's real schema and its way of counting points."""

import pytest
from graphql import (
    GraphQLList,
    GraphQLNonNull,
    InlineFragmentNode,
    NoDeprecatedCustomRule,
    OperationDefinitionNode,
    VariableNode,
    get_named_type,
    is_composite_type,
    parse,
    specified_rules,
    validate,
)

from adapters import documents
from adapters.fetch import CUSTOMERS, PRODUCTS, PRODUCTS_METAFIELDS, VARIANTS_METAFIELDS, Recipe, Rows, plan

LISTED = {name: text for name, text in vars(documents).items() if name.isupper() and isinstance(text, str)}
DOCUMENTS = {name: text for name, text in LISTED.items() if not name.endswith("_PAGE")}
DOCUMENTS |= {f"BULK_{feed}": text for feed, text in documents.BULK_QUERIES.items()}
MEMBERSHIPS = Recipe("Customer", documents.MEMBERSHIPS, base=1, rows={"metafields": Rows(1, most=1)})
RECIPES = [CUSTOMERS, PRODUCTS, PRODUCTS_METAFIELDS, VARIANTS_METAFIELDS, MEMBERSHIPS]


def points(schema, document, variables):
    """What Shopify says a query costs: an object 1, a connection its size times what it holds, a choice the dearest."""
    operation = next(node for node in parse(document).definitions if isinstance(node, OperationDefinitionNode))
    return _points_inside(schema, schema.query_type, operation.selection_set, variables)


def _points_inside(schema, parent, selections, variables):
    total, choices = 0, [0]
    for node in selections.selections:
        if isinstance(node, InlineFragmentNode):
            kind = schema.type_map[node.type_condition.name.value]
            choices.append(_points_inside(schema, kind, node.selection_set, variables))
        else:
            total += _points_of_field(schema, parent, node, variables)
    return total + max(choices)


def _points_of_field(schema, parent, node, variables):
    if node.selection_set is None:
        return 0
    declared = parent.fields[node.name.value].type
    kind = get_named_type(declared)
    inside = _points_inside(schema, kind, node.selection_set, variables)
    arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
    if "first" in arguments:
        size = arguments["first"]
        rows = variables[size.name.value] if isinstance(size, VariableNode) else int(size.value)
        return _rows_of(schema, kind, node, variables) * rows
    if "ids" in arguments:
        return (1 + inside) * len(variables["ids"])
    assert is_composite_type(kind)
    return 0 if kind.name == "PageInfo" else 1 + inside


def _rows_of(schema, connection, node, variables):
    """A row of a connection: what stands under `nodes`."""
    nodes = next(field for field in node.selection_set.selections if field.name.value == "nodes")
    declared = connection.fields["nodes"].type
    while isinstance(declared, GraphQLList | GraphQLNonNull):
        declared = declared.of_type
    return 1 + _points_inside(schema, declared, nodes.selection_set, variables)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_shopify_would_accept_it_and_nothing_in_it_is_deprecated(admin_schema, name):
    assert validate(admin_schema, parse(DOCUMENTS[name]), [*specified_rules, NoDeprecatedCustomRule]) == []


def test_the_count_of_points_is_shopifys(admin_schema):
    variables = {"ids": ["gid"] * 250, "metafields": 1}

    assert points(admin_schema, documents.MEMBERSHIPS, variables) == 500


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.document.split("(")[0].split()[-1])
@pytest.mark.parametrize("ceiling", [1_000, 500, 100, 40, 12])
@pytest.mark.parametrize("waiting", [1, 7, 1_000])
def test_a_load_costs_no_more_than_it_says_and_fits_the_bucket(admin_schema, recipe, ceiling, waiting):
    load = plan(recipe, ceiling, waiting)

    cost = points(admin_schema, recipe.document, {"ids": ["gid"] * load.ids, **load.sizes})

    assert cost <= load.cost <= ceiling
    assert 1 <= load.ids <= min(waiting, 250)


def test_a_page_of_rows_costs_no_more_than_the_cap(admin_schema):
    pages = [rest.document for recipe in RECIPES for rest in recipe.rests]

    assert all(points(admin_schema, page, {"first": 250}) <= 752 for page in pages)
    assert {documents.PRODUCT_VARIANTS, documents.CUSTOMER_ADDRESSES} <= set(pages)


def test_smaller_than_one_id_with_one_row_it_cannot_be():
    assert plan(CUSTOMERS, 0, 10).ids == 1
    assert set(plan(CUSTOMERS, 0, 10).sizes.values()) == {1}
