"""Formulas of "all of" and "some of", and their two normal forms: clauses (all of some) and terms (some of all).

`All(())` holds always: it stands for what cannot be asked. A formula that asks less than it should selects more, so
whatever is left out of clauses, or weakened, still selects every item that it should.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Generic, TypeAlias, TypeVar, Union

__all__ = ["MOST", "All", "Some", "Tree", "clauses", "holds", "leaves", "mapped", "terms"]

Leaf = TypeVar("Leaf", bound=Hashable)
Made = TypeVar("Made", bound=Hashable)

MOST = 100
"""Clauses or terms: a form with more than this would never fit, and is not worth computing."""


@dataclass(frozen=True, slots=True)
class All(Generic[Leaf]):
    """Every part holds."""

    parts: tuple[Tree[Leaf], ...]


@dataclass(frozen=True, slots=True)
class Some(Generic[Leaf]):
    """At least one part holds."""

    parts: tuple[Tree[Leaf], ...]


Tree: TypeAlias = Union[Leaf, "All[Leaf]", "Some[Leaf]"]
Row: TypeAlias = tuple[Leaf, ...]


def holds(tree: Tree[Leaf], test: Callable[[Leaf], bool]) -> bool:
    """Whether the formula is true where `test` says it of the leaves."""
    if isinstance(tree, All):
        return all(holds(part, test) for part in tree.parts)
    if isinstance(tree, Some):
        return any(holds(part, test) for part in tree.parts)
    return test(tree)


def leaves(tree: Tree[Leaf]) -> list[Leaf]:
    """Every leaf, in order."""
    if isinstance(tree, (All, Some)):
        return [leaf for part in tree.parts for leaf in leaves(part)]
    return [tree]


def mapped(tree: Tree[Leaf], change: Callable[[Leaf], Tree[Made]]) -> Tree[Made]:
    """The same formula with every leaf replaced."""
    if isinstance(tree, All):
        return All(tuple(mapped(part, change) for part in tree.parts))
    if isinstance(tree, Some):
        return Some(tuple(mapped(part, change) for part in tree.parts))
    return change(tree)


def clauses(tree: Tree[Leaf], about: Callable[[Leaf], Hashable]) -> tuple[list[Row[Leaf]], bool]:
    """All of some: rows of alternatives, and whether together they say the whole formula.

    Where that would take too many rows, those are kept that speak of one subject (`about`) in every alternative.
    """
    if isinstance(tree, All):
        found = [clauses(part, about) for part in tree.parts]
        rows = [row for some, _ in found for row in some]
        return _strongest(rows), all(whole for _, whole in found)
    if not isinstance(tree, Some):
        return [(tree,)], True
    found = [clauses(part, about) for part in tree.parts]
    choices, whole = [rows for rows, _ in found], all(one for _, one in found)
    if not all(choices):
        return [], True  # one alternative holds always
    if prod(map(len, choices)) <= MOST:
        return _strongest([_union(picked) for picked in product(*choices)]), whole
    return _strongest(_weakened(choices, about)), False


def terms(tree: Tree[Leaf]) -> list[Row[Leaf]] | None:
    """Some of all: rows that each suffice; None where there would be too many."""
    if isinstance(tree, Some):
        found = [terms(part) for part in tree.parts]
        if any(rows is None for rows in found):
            return None
        return _fewest([row for rows in found for row in rows or ()])
    if not isinstance(tree, All):
        return [(tree,)]
    rows: list[Row[Leaf]] = [()]
    for part in tree.parts:
        more = terms(part)
        if more is None or len(rows) * len(more) > MOST:
            return None
        rows = _strongest([_union(pair) for pair in product(rows, more)])
    return rows


def _fewest(rows: list[Row[Leaf]]) -> list[Row[Leaf]] | None:
    return _strongest(rows) if len(rows) <= MOST else None


def _union(rows: Iterable[Row[Leaf]]) -> Row[Leaf]:
    return tuple(dict.fromkeys(leaf for row in rows for leaf in row))


def _strongest(rows: Sequence[Row[Leaf]]) -> list[Row[Leaf]]:
    """Without the rows that hold another one whole: they say less (clauses), or select nothing more (terms)."""
    if len(rows) < 2:
        return list(rows)
    kept: list[tuple[frozenset[Leaf], Row[Leaf]]] = []
    for row in sorted(dict.fromkeys(rows), key=len):
        held = frozenset(row)
        if not any(other <= held for other, _ in kept):
            kept.append((held, row))
    return [row for _, row in kept]


def _weakened(choices: Sequence[Sequence[Row[Leaf]]], about: Callable[[Leaf], Hashable]) -> list[Row[Leaf]]:
    """One row a subject that every alternative speaks of, and one of the shortest rows of each."""
    subjects = dict.fromkeys(about(leaf) for row in choices[0] for leaf in row)
    found = [_union(min(rows, key=len) for rows in choices)]
    for subject in subjects:
        picked = [[row for row in rows if all(about(leaf) == subject for leaf in row)] for rows in choices]
        if all(picked):
            found.append(_union(rows[0] for rows in picked))
    return found
