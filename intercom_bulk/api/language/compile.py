"""From an expression to Intercom's query JSON within its limits, and to what is left to filter here.

The query always selects every item of the expression, and `keeps` sorts out the rest, so that both together select
exactly the expression. What Intercom's results do not show cannot be filtered here: such a part is either asked of
Intercom exactly, or refused with a `QueryError`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.language.asking import Ask, Raw, ask
from intercom_bulk.api.language.binding import Binding, Bound, Names
from intercom_bulk.api.language.fields import RESOURCES, SEARCHABLE
from intercom_bulk.api.language.forms import All, Some, Tree, clauses, leaves, mapped, terms
from intercom_bulk.api.language.layout import laid_out, laid_out_terms, tidied
from intercom_bulk.api.language.matching import matches
from intercom_bulk.api.language.text import parse_query
from intercom_bulk.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from intercom_bulk.api.language.expression import Expression
    from intercom_bulk.api.query import Query

__all__ = ["Compiled", "compile_query"]

_TOO_LARGE = "it does not fit Intercom's limits (15 filters a group, 2 levels) beside the others"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A search: `query` is sent (None: this endpoint takes none), `rest` is filtered here (None: nothing is).

    `why` gives the reasons for the rest, `names` the names that were looked up, `notes` what people should know.
    """

    resource: str
    expression: Expression
    query: Query | None
    rest: Expression | None
    why: Mapping[str, str]
    names: tuple[str, ...]
    notes: tuple[str, ...]
    _left: Tree[Bound] = field(repr=False, compare=False)

    def keeps(self, item: Mapping[str, Any]) -> bool:
        """Whether an item that the query found belongs to the expression."""
        return self.rest is None or matches(self._left, item)

    def explain(self) -> str:
        """What is sent, what is filtered here and why, for people."""
        lines = [f"Search of {self.resource}: {self.expression}", ""]
        if self.query is None:
            lines.append("Sent to Intercom: no filter; every item is read.")
        else:
            lines += ["Sent to Intercom:", *_shown(self.query, "  ")]
        lines += ["", *(self._about_rest() if self.rest is not None else ["Filtered here: nothing."])]
        if self.names or self.notes:
            lines += ["", *self.names, *self.notes]
        return "\n".join(lines)

    def _about_rest(self) -> Iterator[str]:
        yield f"Filtered here, item by item: {self.rest}"
        for part, reason in self.why.items():
            yield f"  {part}: {reason}."


@dataclass(frozen=True, slots=True)
class _Part:
    """A part that every selected item meets, and how it is asked, in two spellings. `whys`: those of the spelling."""

    tree: Tree[Bound]
    asked: Mapping[bool, Tree[Raw]]
    whys: Mapping[bool, tuple[tuple[str, str], ...]]

    @property
    def hidden(self) -> Bound | None:
        """A condition that search results do not show."""
        return next((bound for bound in leaves(self.tree) if bound.field.read is None), None)


@dataclass(frozen=True, slots=True)
class _Draft:
    """One way to ask: `left` are the parts that are not asked whole, or not exactly, with the reasons."""

    query: Query
    left: Mapping[int, tuple[tuple[str, str], ...]]
    unasked: int
    hidden: int

    @property
    def price(self) -> tuple[int, int, int]:
        return self.hidden, self.unasked, len(self.left)


def compile_query(
    expression: Expression | str,
    resource: str,
    *,
    names: Names | None = None,
    zone: tzinfo | None = None,
    now: float | None = None,
    by_server: bool = True,
) -> Compiled:
    """Compile for "conversations", "contacts", "tickets" or "companies".

    `names` (kind, name or id) gives ids, `zone` is the workspace's time zone, `now` (epoch seconds) what relative times
    count from. `by_server` False: for an endpoint without filters; all of it is filtered here. Raises `QueryError` and
    `UnknownNameError`, saying what to change.
    """
    if resource not in RESOURCES:
        raise QueryError(f"{resource} cannot be searched by an expression: only {', '.join(RESOURCES)} can.")
    said = parse_query(expression) if isinstance(expression, str) else expression
    binding = Binding(resource, names, zone, now)
    tree = binding.tree(said)
    notes = tuple(dict.fromkeys(b.field.note for b in leaves(tree) if b.field.note is not None and not b.negated))
    found = tuple(f"{name}." for name in binding.found)
    if not by_server or resource not in SEARCHABLE:
        _refuse_hidden([tree], "this endpoint has no filters, and its items do not show {}")
        why = {str(said): "this endpoint has no filters"}
        return Compiled(resource, said, None, said, why, found, notes, tree)
    parts = [_part(part, zone) for part in (tree.parts if isinstance(tree, All) else (tree,))]
    draft = _cheapest(parts)
    left = [parts[number].tree for number in draft.left]
    _refuse_hidden(left, _APART)
    rest = _expression(All(tuple(left))) if left else None
    why = dict(pair for pairs in draft.left.values() for pair in pairs)
    return Compiled(resource, said, draft.query, rest, why, found, notes, All(tuple(left)))


_APART = (
    "{} is not shown in full by search results, so it cannot be sorted out here together with what Intercom cannot be"
    " asked exactly; split the run at its OR, or use whole days, fewer alternatives, or an Intercom segment"
)


def _refuse_hidden(trees: Iterable[Tree[Bound]], sentence: str) -> None:
    for tree in trees:
        for bound in leaves(tree):
            if bound.field.read is None:
                raise QueryError(f"{bound.said}: {sentence.format(bound.field.name)}.")


def _part(tree: Tree[Bound], zone: tzinfo | None) -> _Part:
    asked, whys = {}, {}
    for careful in (True, False):
        asks = {id(bound): ask(bound, zone, careful=careful) for bound in leaves(tree)}
        asked[careful] = tidied(mapped(tree, partial(_asked, asks)))
        whys[careful] = tuple(
            (str(bound.said), why) for bound in leaves(tree) if (why := asks[id(bound)].why) is not None
        )
    return _Part(tree, asked, whys)


def _asked(asks: Mapping[int, Ask], bound: Bound) -> Tree[Raw]:
    return asks[id(bound)].tree


# -- ways to ask


def _cheapest(parts: Sequence[_Part]) -> _Draft:
    """The first way that leaves no more to filter here than has to be, or the one that leaves least."""
    inexact = [part for part in parts if part.whys[True]]
    least = (sum(part.hidden is not None for part in inexact), 0, len(inexact))
    drafts = []
    for draft in _drafts(parts):
        if draft.price == least:
            return draft
        drafts.append(draft)
    return min(drafts, key=lambda one: one.price)


def _drafts(parts: Sequence[_Part]) -> Iterator[_Draft]:
    for careful in (True, False):
        yield _by_clauses(parts, careful=careful)
        draft = _by_terms(parts, careful=careful)
        if draft is not None:
            yield draft


def _by_clauses(parts: Sequence[_Part], *, careful: bool) -> _Draft:
    """All of some: part after part, the short ones first, as far as there is room."""
    rows: list[tuple[Raw, ...]] = []
    left: dict[int, tuple[tuple[str, str], ...]] = {}
    unasked = 0
    made = {number: clauses(part.asked[careful], _subject) for number, part in enumerate(parts)}
    for number in sorted(made, key=lambda n: (parts[n].hidden is None, len(made[n][0]), sum(map(len, made[n][0])), n)):
        part, (wanted, whole) = parts[number], made[number]
        if laid_out([*rows, *wanted]) is not None:
            rows += wanted
        else:
            whole = False
            for row in wanted:
                rows += [row] if laid_out([*rows, row]) is not None else []
        if not whole:
            unasked += 1
            left[number] = (*part.whys[careful], (str(_expression(part.tree)), _TOO_LARGE))
        elif part.whys[careful]:
            left[number] = part.whys[careful]
    return _draft(parts, laid_out(rows), left, unasked)


def _by_terms(parts: Sequence[_Part], *, careful: bool) -> _Draft | None:
    """Some of all: an OR of ANDs, which says in few groups what would take many the other way round."""
    whole: Tree[Raw] = All(tuple(part.asked[careful] for part in parts))
    rows = terms(whole)
    query = laid_out_terms(rows) if rows else None
    if query is None:
        return None
    left = {number: part.whys[careful] for number, part in enumerate(parts) if part.whys[careful]}
    return _draft(parts, query, left, 0)


def _draft(
    parts: Sequence[_Part], query: Query | None, left: dict[int, tuple[tuple[str, str], ...]], unasked: int
) -> _Draft:
    if query is None:
        raise AssertionError("what was laid out row by row no longer fits")
    ordered = {number: left[number] for number in sorted(left)}
    return _Draft(query, ordered, unasked, sum(parts[number].hidden is not None for number in left))


def _subject(raw: Raw) -> str:
    return raw.field


# -- back to words


def _expression(tree: Tree[Bound]) -> Expression:
    if not isinstance(tree, (All, Some)):
        return tree.said
    parts = list(dict.fromkeys(_expression(part) for part in tree.parts))
    found = parts[0]
    for part in parts[1:]:
        found = found & part if isinstance(tree, All) else found | part
    return found


def _shown(query: Query, indent: str) -> Iterator[str]:
    """The JSON, a filter a line."""
    if "field" in query:
        yield indent + json.dumps(query, ensure_ascii=False)
        return
    yield f'{indent}{{"operator": "{query["operator"]}", "value": ['
    for place, member in enumerate(query["value"], 1):
        lines = list(_shown(member, f"{indent}  "))
        yield from lines[:-1]
        yield lines[-1] + ("," if place < len(query["value"]) else "")
    yield f"{indent}]}}"
