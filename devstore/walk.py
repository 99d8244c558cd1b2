"""A bulk query walked into lines: no pages, children after their parent but not beside it, each with `__parentId`."""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLObjectType,
    GraphQLScalarType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_argument_values,
    get_named_type,
)

from devstore import search
from devstore.metafields import chosen
from devstore.schema import SCHEMA, read
from devstore.tenant import Tenant

MOST_CONNECTIONS = 5
MOST_LEVELS = 2
MINGLED = 7  # parents whose children are written together, so that nobody may trust adjacency
ROOTS = {"products": search.PRODUCT_FIELDS, "customers": search.CUSTOMER_FIELDS}

Line = dict[str, Any]


def problem_with(query: str) -> str | None:
    """Why Shopify would refuse this query, or None."""
    document, errors = read(query)
    if document is None or errors:
        return f"Invalid bulk query: {errors[0].message}"
    root = _root_field(document)
    if root.name.value not in ROOTS:
        return "Bulk queries must contain at least one connection, and top-level node fields are not supported."
    depth, connections = _measure(root, SCHEMA.query_type)
    if connections > MOST_CONNECTIONS:
        return f"Bulk queries cannot contain more than {MOST_CONNECTIONS} connections."
    if depth > MOST_LEVELS + 1:
        return f"Bulk queries cannot contain connections with a nesting depth greater than {MOST_LEVELS}."
    return None


def lines(tenant: Tenant, query: str) -> Iterator[Line]:
    """Every line of the result, a few parents at a time. The query is one that `problem_with` has nothing against."""
    document, _ = read(query)
    assert document is not None
    root, root_type = _root_field(document), SCHEMA.query_type
    assert root_type is not None
    arguments = get_argument_values(root_type.fields[root.name.value], root)
    kind, wanted = _node_of(root, root_type)
    walk, batch = _Walk(tenant), []
    for record in _root_rows(tenant, root.name.value, arguments.get("query")):
        batch.append(record)
        if len(batch) == MINGLED:
            yield from walk.mingle(batch, kind, wanted)
            batch = []
    yield from walk.mingle(batch, kind, wanted)


def _root_field(document: DocumentNode) -> FieldNode:
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    field = operation.selection_set.selections[0]
    assert isinstance(field, FieldNode)
    return field


def _root_rows(tenant: Tenant, kind: str, query: str | None) -> list[Any]:
    """The truth; a search sees the index."""
    shop, matches = tenant.shop, search.predicate(query, ROOTS[kind])
    with shop.lock:
        table: Any = shop.products if kind == "products" else shop.customers
        if matches is None:
            return list(table.truth.values())
        return [record for record in table.indexed(shop.conduct.index_lag).values() if matches(record)]


class _Walk:
    """Runs the same resolvers as a paged query does, on one tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self._info = SimpleNamespace(context=SimpleNamespace(tenant=tenant))

    def mingle(self, records: list[Any], kind: GraphQLObjectType, wanted: SelectionSetNode) -> Iterator[Line]:
        """Level by level: all parents, then all their children, then all of theirs."""
        level: list[tuple[Any, GraphQLObjectType, SelectionSetNode, str | None]]
        level = [(record, kind, wanted, None) for record in records]
        while level:
            below = []
            for record, its_kind, its_wanted, parent in level:
                yield self._line(record, its_kind, its_wanted) | ({"__parentId": parent} if parent else {})
                for field in _fields(its_wanted):
                    if _is_connection(field, its_kind):
                        child = _node_of(field, its_kind)
                        below += [(row, *child, record.gid) for row in _children(record, field, its_kind)]
            level = below

    def _line(self, record: Any, kind: GraphQLObjectType, wanted: SelectionSetNode) -> Line:
        plain = (field for field in _fields(wanted) if not _is_connection(field, kind))
        return {(field.alias or field.name).value: self._value(record, field, kind) for field in plain}

    def _value(self, record: Any, field: FieldNode, kind: GraphQLObjectType) -> Any:
        name = field.name.value
        if name == "__typename":
            return kind.name
        definition = kind.fields[name]
        resolve: Any = definition.resolve or (lambda source, _info: source[name])
        value = resolve(record, self._info, **get_argument_values(definition, field))
        return self._plain(value, get_named_type(definition.type), field.selection_set)

    def _plain(self, value: Any, kind: Any, wanted: SelectionSetNode | None) -> Any:
        if value is None:
            return None
        if isinstance(value, (list, tuple)):
            return [self._plain(one, kind, wanted) for one in value]
        if isinstance(kind, GraphQLScalarType):
            return kind.coerce_output_value(value)
        if isinstance(kind, GraphQLEnumType) or wanted is None:
            return value
        return self._line(value, kind, wanted)


def _children(record: Any, field: FieldNode, kind: GraphQLObjectType) -> Iterable[Any]:
    arguments = get_argument_values(kind.fields[field.name.value], field)
    if field.name.value == "metafields":
        return chosen(record, arguments.get("namespace"), arguments.get("keys"))
    rows: Iterable[Any] = record.variants if field.name.value == "variants" else record.addresses
    return rows


def _node_of(field: FieldNode, parent: GraphQLObjectType) -> tuple[GraphQLObjectType, SelectionSetNode]:
    """Through `edges.node` or `nodes` to what is asked of each row."""
    kind: Any = get_named_type(parent.fields[field.name.value].type)
    assert field.selection_set is not None
    for inner in _fields(field.selection_set):
        if inner.name.value in {"node", "nodes"}:
            assert inner.selection_set is not None
            row: Any = get_named_type(kind.fields[inner.name.value].type)
            return row, inner.selection_set
        if inner.name.value == "edges":
            return _node_of(inner, kind)
    raise LookupError(f"{field.name.value} asks for no node")


def _is_connection(field: FieldNode, parent: Any) -> bool:
    definition = parent.fields.get(field.name.value)
    return definition is not None and get_named_type(definition.type).name.endswith("Connection")


def _fields(wanted: SelectionSetNode) -> Iterator[FieldNode]:
    for selection in wanted.selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from _fields(selection.selection_set)


def _measure(field: FieldNode, parent: Any) -> tuple[int, int]:
    """How deep connections are nested, and how many there are."""
    if not _is_connection(field, parent):
        return 0, 0
    kind, wanted = _node_of(field, parent)
    inner = [_measure(child, kind) for child in _fields(wanted)]
    return 1 + max((depth for depth, _ in inner), default=0), 1 + sum(count for _, count in inner)
