"""An updater of your own, which changes nothing: it reads each contact in full, into a CSV file.

python examples/contacts_reader.py --sandbox
python examples/contacts_reader.py --role lead --csv leads.csv
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from _sandbox import arguments, options, report, workspace

from intercom_bulk import IntercomBulkUpdater

COLUMNS = ["id", "name", "email", "created_at", "last_seen_at"]


class ContactReader(IntercomBulkUpdater):
    """A search shows a contact's first ten tags, notes and companies; the contact itself has more to tell."""

    def __init__(self, **connection: Any) -> None:
        super().__init__(**connection)
        self.contacts: dict[str, dict[str, Any]] = {}

    def get_search_endpoint(self) -> str:
        return "contacts/search"

    def get_search_query(self, *, role: str) -> dict[str, Any]:
        return {"field": "role", "operator": "=", "value": role}

    def perform_action(self, item_id: str) -> dict[str, Any]:
        # Runs in many threads at once: each writes under a key of its own.
        contact = self.contacts[item_id] = self.request("GET", f"contacts/{item_id}")
        return contact


def main() -> int:
    parser = arguments(__doc__, writes=False)
    parser.add_argument("--role", default="user", choices=["user", "lead"])
    parser.add_argument("--csv", type=Path, default=Path("contacts.csv"), help="the file to write (contacts.csv)")
    given = parser.parse_args()
    with workspace(given):
        reader = ContactReader()
        summary = reader.bulk_process(role=given.role, max_items=given.max, options=options(given, reader))
        with given.csv.open("w", newline="") as file:
            rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            rows.writeheader()
            rows.writerows(reader.contacts.values())
        return report(summary, given)


if __name__ == "__main__":
    raise SystemExit(main())
