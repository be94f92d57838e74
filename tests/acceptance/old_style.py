"""Updaters as people wrote them for the original framework, from its README. Only the import line has changed."""

# ruff: noqa: UP006, UP035, UP045
# mypy: disable-error-code="no-any-return"

from typing import Any, Dict, Iterator, Optional

import requests

from intercom_bulk import IntercomBulkUpdater


class CustomUpdater(IntercomBulkUpdater):
    def get_search_endpoint(self) -> str:
        return "conversations/search"  # or "contacts/search", etc.

    def get_search_query(self, **kwargs) -> Dict[str, Any]:  # type: ignore[no-untyped-def]
        return {
            "operator": "AND",
            "value": [
                {"field": "team_assignee_id", "operator": "=", "value": kwargs["team_id"]},
                {"field": "state", "operator": "=", "value": "open"},
            ],
        }

    def get_item_id(self, item: Dict[str, Any]) -> str:
        return item["id"]

    def perform_action(self, item_id: str, **kwargs) -> Optional[Dict[str, Any]]:  # type: ignore[no-untyped-def]
        # Your custom action here
        url = f"{self.base_url}/conversations/{item_id}/parts"
        payload = {"message_type": "close", "type": "admin", "admin_id": self.admin_id}

        resp = requests.post(url, headers=self.headers, json=payload, timeout=30)
        resp.raise_for_status()
        return resp.json()


class SwallowingUpdater(CustomUpdater):
    """Hides every failure."""

    def perform_action(self, item_id: str, **kwargs) -> Optional[Dict[str, Any]]:  # type: ignore[no-untyped-def]
        try:
            return super().perform_action(item_id, **kwargs)
        except Exception:  # noqa: BLE001
            return None


class ResponseUpdater(CustomUpdater):
    """Returns the response, whatever its status, and calls its id something else."""

    def perform_action(self, conversation_id: str, **kwargs) -> Any:  # type: ignore[no-untyped-def, override]
        url = f"{self.base_url}/conversations/{conversation_id}/parts"
        payload = {"message_type": "close", "type": "admin", "admin_id": self.admin_id}
        return requests.post(url, headers=self.headers, json=payload, timeout=30)


class JsonUpdater(CustomUpdater):
    """Returns whatever JSON the answer holds, be it an error."""

    def perform_action(self, item_id: str, **kwargs) -> Optional[Dict[str, Any]]:  # type: ignore[no-untyped-def]
        url = f"{self.base_url}/conversations/{item_id}/parts"
        payload = {"message_type": "close", "type": "admin", "admin_id": self.admin_id}
        return requests.post(url, headers=self.headers, json=payload, timeout=30).json()


class ListedUpdater(CustomUpdater):
    """Finds its items by itself."""

    ids: list[str] = []  # noqa: RUF012

    def search_items(self, per_page: int = 150, **search_kwargs: Any) -> Iterator[str]:
        yield from self.ids
