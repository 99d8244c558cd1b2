"""What a query costs, and the bucket it is paid from.

An object 1, a scalar 0, a mutation 10, a connection its `first` times what one node holds, an interface the dearest of
its kinds. `nodes(ids:)` is paid per id. The price asked is reserved, the price of what came is kept.
https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLCompositeType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    value_from_ast_untyped,
)

MAX_COST = 1_000
MUTATION = 10
WRAPPERS = ("Connection", "Edge", "PageInfo")
Fields = dict[str, tuple[FieldNode, list[SelectionSetNode]]]


@dataclass(frozen=True)
class Bill:
    """Prices one operation of a document that has been validated against `schema`."""

    schema: GraphQLSchema
    document: DocumentNode
    operation: OperationDefinitionNode
    variables: dict[str, Any]

    @classmethod
    def of(
        cls, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, given: dict[str, Any]
    ) -> "Bill":
        """With the defaults of variables that were not given."""
        defaults = {
            definition.variable.name.value: value_from_ast_untyped(definition.default_value)
            for definition in operation.variable_definitions or ()
            if definition.default_value is not None
        }
        return cls(schema, document, operation, defaults | given)

    def requested(self) -> int:
        if self.operation.operation == OperationType.MUTATION:
            return MUTATION * len(self.operation.selection_set.selections)
        return self._price([self.operation.selection_set], self._root())

    def actual(self, data: dict[str, Any] | None) -> int:
        """The price of the objects in an answer: nodes that were asked for and did not come are refunded."""
        if self.operation.operation == OperationType.MUTATION:
            return self.requested()
        return self._count(data, [self.operation.selection_set], self._root()) if data else 0

    def _root(self) -> GraphQLObjectType:
        root = self.schema.get_root_type(self.operation.operation)
        assert root is not None
        return root

    def _price(self, selections: list[SelectionSetNode], parent: GraphQLCompositeType) -> int:
        if is_abstract_type(parent):
            choices = self.schema.get_possible_types(_abstract(parent))
            return max((self._price(selections, choice) for choice in choices), default=0)
        return sum(
            self._price_of_field(node, inner, parent) for node, inner in self._fields(selections, parent.name).values()
        )

    def _price_of_field(self, node: FieldNode, inner: list[SelectionSetNode], parent: GraphQLCompositeType) -> int:
        kind = self._type_of(node, parent)
        if kind is None:
            return 0
        if kind.name.endswith("Connection"):
            size = self._argument(node, "first") or self._argument(node, "last") or 0
            return int(size) * self._price_of_nodes(inner, kind)
        times = len(self._argument(node, "ids") or ()) if node.name.value == "nodes" else 1
        return times * (1 + self._price(inner, kind))

    def _price_of_nodes(self, selections: list[SelectionSetNode], connection: GraphQLCompositeType) -> int:
        """`nodes` and `edges.node` are two spellings of the same rows; asked for both, the dearer counts."""
        price = 0
        for node, inner in self._fields(selections, connection.name).values():
            kind = self._type_of(node, connection)
            if kind is None or kind.name == "PageInfo":
                continue
            if kind.name.endswith("Edge"):
                price = max(price, self._price_of_nodes(inner, kind))
            else:
                price = max(price, 1 + self._price(inner, kind))
        return price

    def _count(self, value: Any, selections: list[SelectionSetNode], parent: GraphQLCompositeType) -> int:
        total = 0
        for name, (node, inner) in self._fields(selections, None).items():
            kind = self._type_of(node, parent) or self._type_in_choices(node, parent)
            if kind is None or name not in value:
                continue
            per_row = kind.name.endswith("Connection") or node.name.value in {"nodes", "edges"}
            rows = [row for row in _rows(value[name]) if row is not None]
            own = 0 if kind.name.endswith(WRAPPERS) else 1
            deep = sum(self._count(row, inner, kind) for row in rows)
            total += deep + (own * len(rows) if per_row else own * bool(rows))
        return total

    def _fields(self, selections: list[SelectionSetNode], type_name: str | None) -> Fields:
        """By answer name, fragments opened. `type_name` leaves out fragments that cannot apply; None keeps all."""
        found: Fields = {}
        for node in self._flat(selections, type_name):
            name = (node.alias or node.name).value
            _, inner = found.setdefault(name, (node, []))
            if node.selection_set is not None:
                inner.append(node.selection_set)
        return found

    def _flat(self, selections: Iterable[SelectionSetNode], type_name: str | None) -> Iterable[FieldNode]:
        for selection_set in selections:
            for selection in selection_set.selections:
                if isinstance(selection, FieldNode):
                    yield selection
                    continue
                part: Any = self._fragment(selection) if isinstance(selection, FragmentSpreadNode) else selection
                condition = part.type_condition
                if condition is None or type_name is None or self._applies(condition.name.value, type_name):
                    yield from self._flat([part.selection_set], type_name)

    def _fragment(self, spread: FragmentSpreadNode) -> FragmentDefinitionNode:
        fragments = (d for d in self.document.definitions if isinstance(d, FragmentDefinitionNode))
        return next(fragment for fragment in fragments if fragment.name.value == spread.name.value)

    def _applies(self, condition: str, type_name: str) -> bool:
        if condition == type_name:
            return True
        kind, concrete = self.schema.type_map[condition], self.schema.type_map[type_name]
        return is_abstract_type(kind) and (
            isinstance(concrete, (GraphQLObjectType, GraphQLInterfaceType))
            and self.schema.is_sub_type(_abstract(kind), concrete)
        )

    def _type_of(self, node: FieldNode, parent: GraphQLCompositeType) -> GraphQLCompositeType | None:
        field = getattr(parent, "fields", {}).get(node.name.value)
        kind = get_named_type(field.type) if field else None
        return kind if is_composite_type(kind) else None

    def _type_in_choices(self, node: FieldNode, parent: GraphQLCompositeType) -> GraphQLCompositeType | None:
        if not is_abstract_type(parent):
            return None
        kinds = (self._type_of(node, choice) for choice in self.schema.get_possible_types(_abstract(parent)))
        return next((kind for kind in kinds if kind is not None), None)

    def _argument(self, node: FieldNode, name: str) -> Any:
        argument = next((a for a in node.arguments or () if a.name.value == name), None)
        return value_from_ast_untyped(argument.value, self.variables) if argument else None


class Bucket:
    """One app's points in one shop: `take` reserves what is asked, `refund` gives back what was not used."""

    def __init__(self, clock: Callable[[], float], maximum: float = 2_000, restore: float = 100) -> None:
        self.maximum = maximum
        self.restore = restore
        self._clock = clock
        self._lock = threading.Lock()
        self._level = maximum
        self._as_of = clock()

    def resize(self, maximum: float | None, restore: float | None) -> None:
        """A new size starts full."""
        with self._lock:
            self.maximum = maximum if maximum is not None else self.maximum
            self.restore = restore if restore is not None else self.restore
            self._level, self._as_of = self.maximum, self._clock()

    def take(self, points: int) -> bool:
        with self._lock:
            self._refill()
            if points > self._level:
                return False
            self._level -= points
            return True

    def refund(self, points: int) -> None:
        with self._lock:
            self._level = min(self.maximum, self._level + points)

    def status(self) -> dict[str, float]:
        with self._lock:
            self._refill()
            return {
                "maximumAvailable": float(self.maximum),
                "currentlyAvailable": int(self._level),
                "restoreRate": float(self.restore),
            }

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self.maximum, self._level + (now - self._as_of) * self.restore)
        self._as_of = now


def _abstract(kind: Any) -> GraphQLAbstractType:
    assert is_abstract_type(kind)
    return kind


def _rows(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
