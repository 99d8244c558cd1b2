"""schema.graphql, built once, and the documents that were read against it."""

from functools import lru_cache
from pathlib import Path

from graphql import DocumentNode, GraphQLError, build_schema, parse, validate

SCHEMA = build_schema((Path(__file__).parent / "schema.graphql").read_text())


@lru_cache(maxsize=512)
def read(text: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
    """The parsed document, or what is wrong with the text. Read once for each text."""
    try:
        document = parse(text)
    except GraphQLError as problem:
        return None, (problem,)
    return document, tuple(validate(SCHEMA, document))
