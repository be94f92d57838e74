"""Notes on people and companies: what is written there stays."""

from __future__ import annotations

from intercom_bulk import NoteAdder
from tests.updaters.cases import CONTACTS, Case

__all__ = ["CASES"]

CASES = (
    Case(
        name="contacts note",
        make=lambda **c: NoteAdder(body="Checked.", on="contacts", **c),
        on="contacts",
        search=CONTACTS,
        undoes=False,
        irreversible=True,
        appends=True,
        tells=False,
    ),
    Case(
        name="companies note",
        make=lambda **c: NoteAdder(body="Checked.", on="companies", **c),
        on="companies",
        search={"query": {}},
        undoes=False,
        irreversible=True,
        appends=True,
        tells=False,
    ),
)
