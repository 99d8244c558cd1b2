"""The devstore says nothing that Shopify does not: its schema is a subset of the real one, type by type."""

from pathlib import Path

import pytest
from graphql import (
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_introspection_type,
    is_object_type,
    is_specified_scalar_type,
    parse,
    validate,
    validate_schema,
)
from graphql.utilities.print_schema import print_input_value

from devstore.real_schema import admin_schema
from devstore.schema import SCHEMA

OWN = [t for t in SCHEMA.type_map.values() if not is_introspection_type(t) and not is_specified_scalar_type(t)]


@pytest.fixture(scope="module")
def real():
    return admin_schema()


@pytest.mark.parametrize("own", OWN, ids=lambda t: t.name)
def test_every_type_field_and_argument_is_in_the_real_schema_with_the_same_type(real, own):
    theirs = real.type_map[own.name]

    assert type(theirs) is type(own)
    assert set(members(own)) <= set(members(theirs))
    for name, member in members(own).items():
        assert str(getattr(member, "type", "")) == str(getattr(members(theirs)[name], "type", "")), name
        assert arguments(member) == arguments(members(theirs)[name]), name


def test_an_interface_is_claimed_only_where_shopify_claims_it(real):
    for own in OWN:
        if is_object_type(own):
            assert {i.name for i in own.interfaces} <= {i.name for i in real.type_map[own.name].interfaces}


def test_no_required_input_was_left_out(real):
    """Else a document without it would be fine here and refused there."""
    for own in OWN:
        if is_input_object_type(own):
            required = {name for name, f in real.type_map[own.name].fields.items() if str(f.type).endswith("!")}
            assert required <= set(own.fields)


def test_the_schema_is_valid_in_itself():
    assert validate_schema(SCHEMA) == []


def test_every_sample_document_is_valid_against_the_real_schema_and_the_devstores(real):
    document = parse((Path(__file__).parent / "documents.graphql").read_text())

    assert validate(real, document) == []
    assert validate(SCHEMA, document) == []


def members(kind):
    if is_object_type(kind) or is_interface_type(kind) or is_input_object_type(kind):
        return kind.fields
    return kind.values if is_enum_type(kind) else {}


def arguments(member):
    return [print_input_value(name, argument) for name, argument in getattr(member, "args", {}).items()]
