"""Updaters of companies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk import CompanyDeleter, CompanyEditor, TagAssigner, Untagger
from tests.updaters.cases import Case

if TYPE_CHECKING:
    from intercom_bulk.sandbox import Sandbox
    from tests.undo.person import Person

__all__ = ["CASES"]

SMALL: dict[str, Any] = {"scroll_page": 5, "scroll_idle_s": 0.1}
"""Several pages; and the scroll of a run that was stopped does not keep the next one waiting for a minute."""
MANY: dict[str, Any] = {"companies": 160, "scroll_page": 40, "scroll_idle_s": 0.1}


def tagged(sandbox: Sandbox, person: Person) -> None:
    """Some have the tag already, some another one."""
    ids = list(sandbox.states("companies"))
    for tag, chosen in (("vip", ids[::3]), ("stale", ids[1::3])):
        person.ask("POST", "/tags", {"name": tag, "companies": [{"id": item_id} for item_id in chosen]})


def known(sandbox: Sandbox, person: Person) -> None:
    for number, item_id in enumerate(sandbox.states("companies")):
        attributes = {"industry": "Trade", "seats": number}
        body = {"plan": "free", "size": number, "website": "https://old.example", "custom_attributes": attributes}
        person.ask("PUT", f"/companies/{item_id}", body)


def staffed(sandbox: Sandbox, person: Person) -> None:
    first = next(iter(sandbox.states("companies")))
    for item_id in sandbox.states("contacts"):
        person.ask("POST", f"/contacts/{item_id}/companies", {"id": first})


CASES = (
    Case(
        name="companies tag",
        make=lambda **c: TagAssigner(tag="vip", on="companies", **c),
        on="companies",
        search={"query": {}},
        knobs=MANY,
        before=tagged,
    ),
    Case(
        name="companies untag",
        make=lambda **c: Untagger(tag="vip", on="companies", **c),
        on="companies",
        search={"query": {}},
        knobs={**MANY, "companies": 300},
        before=tagged,
    ),
    Case(
        name="companies edit",
        make=lambda **c: CompanyEditor(
            fields={"name": "Acme", "plan": "Gold", "size": 5, "website": "https://acme.example"},
            attributes={"industry": "Steel"},
            **c,
        ),
        on="companies",
        search={"query": {}},
        knobs=SMALL,
        before=known,
    ),
    Case(
        name="companies edit from the list",
        make=lambda **c: CompanyEditor(fields={"plan": "Gold"}, source="list", **c),
        on="companies",
        search={"query": {}},
        before=known,
    ),
    Case(
        name="companies delete",
        make=lambda **c: CompanyDeleter(**c),
        on="companies",
        search={"query": {}},
        knobs=SMALL,
        before=staffed,
        undoes=False,
        irreversible=True,
        causes=("Its contacts are detached from it.", "An integration that syncs companies would make it anew."),
    ),
)
