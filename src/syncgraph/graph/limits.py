"""How many rows and deferred parts an operation can ask for at most, told from its text: lists multiply what is inside.

One pass, each fragment once however often it is spread, so that a small document cannot make this slow either.
"""

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLDeferDirective,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

MAX_ROWS = 50_000
"""A screenful of everything (100 connectors, 20 syncs each, 20 runs each) is 42,100."""

MAX_PARTS = 100
"""What one operation may defer: each is a payload, a task, and its place among the others."""

LISTS = frozenset({"connectors", "syncs", "syncRuns", "runs", "needsAttention", "running", "errorGroups"})
NAMED = frozenset({"ids", "representations"})
"""Arguments that name each row of their field's list."""
OF_PROVIDERS, ASSUMED_PROVIDERS = frozenset({"providers", "sources"}), 10
"""Lists with a row per configured provider, and how many are counted of them."""
DEFAULT_FIRST, MAX_FIRST = 20, 100
"""Rows of one page, and at most."""
MAX_IDS = 100
"""Ids that ``nodes`` takes at once."""


def endless_field(
    document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> str | None:
    """The root field under which the lists could hold more than ``MAX_ROWS``, if each were as long as its ``first``."""
    fragments = {
        one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
    }
    counting = _Pass(fragments, variables)
    for one in operation.selection_set.selections:
        if counting.of(SelectionSetNode(selections=(one,))) > MAX_ROWS:
            return one.name.value if isinstance(one, FieldNode | FragmentSpreadNode) else "query"
    return "query" if counting.of(operation.selection_set) > MAX_ROWS else None


def deferred_parts(
    document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> int:
    """How many fragments could be delivered later, if each list were as long as its ``first``; counted to one too many."""
    fragments = {
        one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
    }
    return _Parts(fragments, variables).of(operation.selection_set)


class _Pass:
    most = MAX_ROWS

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]) -> None:
        self._fragments = fragments
        self._variables = variables
        self._counted: dict[str, int] = {}

    def of(self, selected: SelectionSetNode | None) -> int:
        total = 0
        for one in selected.selections if selected is not None else ():
            match one:
                case FieldNode():
                    total += self._of_field(one)
                case InlineFragmentNode():
                    total += self._own(one) + self.of(one.selection_set)
                case FragmentSpreadNode():
                    total += self._own(one) + self._of_fragment(one.name.value)
        return min(total, self.most + 1)

    def _own(self, _fragment: InlineFragmentNode | FragmentSpreadNode) -> int:
        return 0

    def _of_field(self, field: FieldNode) -> int:
        inside = self.of(field.selection_set)
        rows = self._rows(field)
        return inside if rows is None else rows * (1 + inside)

    def _rows(self, field: FieldNode) -> int | None:
        """None: it is no list that could be long."""
        given = {one.name.value: one.value for one in field.arguments or ()}
        if field.name.value in LISTS:
            return self._first(given.get("first"))
        return next((self._length(given[name]) for name in NAMED & given.keys()), None)

    def _of_fragment(self, name: str) -> int:
        if name not in self._counted:
            self._counted[name] = self.of(self._fragments[name].selection_set)
        return self._counted[name]

    def _first(self, given: ValueNode | None) -> int:
        match given:
            case IntValueNode():
                asked: Any = int(given.value)
            case VariableNode():
                asked = self._variables.get(given.name.value)
            case _:
                asked = None
        # What is out of range is refused by the field itself.
        return min(max(asked, 0), MAX_FIRST) if isinstance(asked, int) else DEFAULT_FIRST

    def _length(self, given: ValueNode) -> int:
        match given:
            case ListValueNode():
                return len(given.values)
            case VariableNode():
                value = self._variables.get(given.name.value)
                return len(value) if isinstance(value, list) else 1
            case _:
                return 1


class _Parts(_Pass):
    most = MAX_PARTS

    def _own(self, fragment: InlineFragmentNode | FragmentSpreadNode) -> int:
        return sum(one.name.value == GraphQLDeferDirective.name for one in fragment.directives or ())

    def _of_field(self, field: FieldNode) -> int:
        inside, rows = self.of(field.selection_set), self._rows(field)
        if rows is None:
            rows = ASSUMED_PROVIDERS if field.name.value in OF_PROVIDERS else 1
        return rows * inside
