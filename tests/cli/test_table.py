"""The table of operations against the library that it speaks of."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

import intercom_bulk
from intercom_bulk.cli import making
from intercom_bulk.cli.parser import make_parser
from intercom_bulk.operations import OPERATIONS, STEPS, Argument, Operation, operation

if TYPE_CHECKING:
    from intercom_bulk import IntercomBulkUpdater

NAMES = [row.title for row in OPERATIONS]
VALUES = {"text": "x", "text_or_none": "x", "assignee": "Ann Archer", "body": "Hello", "pairs": "plan=pro"}
ABSTRACT = {"IntercomBulkUpdater", "ConversationUpdater", "ContactUpdater", "CompanyUpdater", "TicketUpdater"}


def words_for(row: Operation, *, everything: bool) -> list[str]:
    """What one would type: all arguments, or only those that are needed."""
    words: list[str] = []
    for argument in row.arguments:
        if argument.required or argument.is_place or everything:
            words += typed(argument)
    if row.either and not everything and not any(word in row.either for word in words):
        first = next(one for one in row.arguments if one.name in row.either)
        words += typed(first) if first.name not in words else []
    return words + (["--note", "Fixed.", "--close"] if row.verb == "steps" else [])


def typed(argument: Argument) -> list[str]:
    if argument.kind == "on":
        return [argument.name]
    value = argument.choices[0] if argument.choices else VALUES.get(argument.kind, "")
    if argument.kind == "moment":
        value = str(int(time.time()) + 86_400)
    return [value] if argument.is_place else [argument.name, value]


def made(row: Operation, *, everything: bool) -> IntercomBulkUpdater:
    which = ["--ids", "ids.txt"] if row.by_ids else ["--all"]
    given = make_parser().parse_args([*row.title.split(), *words_for(row, everything=everything), *which])
    vars(given).update(audit_trail=None, region=None)
    return making.updater(given, irreversible=False)


@pytest.mark.parametrize("name", NAMES)
def test_each_operation_makes_its_updater_with_all_its_arguments_and_with_what_is_needed_alone(name: str) -> None:
    row = operation(name)
    for one in (made(row, everything=True), made(row, everything=False)):
        assert type(one).__name__ == row.updater
        assert row.irreversible or one.irreversible is None, "what cannot be undone has to be meant"
        where: Any = one.get_search_endpoint()
        assert str(getattr(where, "path", where)).partition("/")[0] == row.resource


def test_each_step_has_its_factory() -> None:
    from intercom_bulk import steps

    assert all(callable(getattr(steps, word.factory)) for word in STEPS)


def test_no_operation_is_there_twice() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_every_updater_of_the_library_has_a_command() -> None:
    public = {name for name in intercom_bulk.__all__ if is_updater(name)} - ABSTRACT
    assert public == {row.updater for row in OPERATIONS}


def is_updater(name: str) -> bool:
    found = getattr(intercom_bulk, name)
    return isinstance(found, type) and issubclass(found, intercom_bulk.IntercomBulkUpdater)
