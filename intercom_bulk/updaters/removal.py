"""What takes things away for good: deleting, and blanking what was said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import Gone, LeftAlone, Rejected, UsageError
from intercom_bulk.updaters.conversations import ConversationUpdater
from intercom_bulk.updaters.running.holdouts import CUSTOMERS
from intercom_bulk.updaters.threads import parts_of, plain_text
from intercom_bulk.updaters.tickets import TicketUpdater

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["ConversationDeleter", "ConversationRedactor", "TicketDeleter", "is_gone"]

MERGED = 410
_TAG = re.compile(r"<[^>]*>")
AUTHORS = {"contact": CUSTOMERS, "admin": frozenset({"admin"}), "anyone": None}


def is_gone(updater: IntercomBulkUpdater, item_id: str) -> bool:
    """Read back by somebody who deletes: that an item is not there is what was wanted.

    Raises `Gone` for a contact that was merged into another (410): that was somebody else.
    """
    try:
        updater.read_item(item_id)
    except Gone as error:
        if error.status == MERGED:
            raise
        return True
    return False


class ConversationDeleter(ConversationUpdater):
    """Deletes conversations for good (API 2.13 and later).

    `retain_metrics=False` takes them out of the reports too, which needs the scope `delete_conversations_and_metrics`.
    """

    idempotent = True
    irreversible = "a deleted conversation cannot be restored."

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, retain_metrics: bool = True,
        **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        self.retain_metrics = retain_metrics
        if not retain_metrics:
            self.irreversible = "a deleted conversation cannot be restored, nor its part in the reports."

    def perform_action(self, item_id: str) -> dict[str, Any]:
        params = {"retain_metrics": "true" if self.retain_metrics else "false"}
        return self.request("DELETE", f"conversations/{segment(item_id)}", params=params)

    def already_done(self, item_id: str) -> bool | None:
        return is_gone(self, item_id)


class TicketDeleter(TicketUpdater):
    """Deletes tickets for good, with their replies, attributes and uploads (API 2.13 and later)."""

    idempotent = True
    irreversible = "a deleted ticket cannot be restored."

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self.request("DELETE", f"tickets/{segment(item_id)}")

    def already_done(self, item_id: str) -> bool | None:
        return is_gone(self, item_id)


class ConversationRedactor(ConversationUpdater):
    """Blanks what was written in conversations: by the `author` ("contact", "admin" or "anyone"), each message.

    `containing`: only messages with these words (case and markup do not matter). The first message can be redacted only
    where a contact wrote it, and of a long thread only the newest 500 parts can be reached (OpenAPI 2.16): a
    conversation with more is redacted that far and then listed as failed (`too_many_parts`), as is one where messages
    are left that are files without words (`files_left`). One with nothing to redact
    is skipped. One request a message, and one to read.
    """

    idempotent = True
    irreversible = "what was redacted is gone for good."

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *, author: str = "contact",
        containing: str | None = None, **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        if author not in AUTHORS:
            raise UsageError(f"author must be one of {', '.join(AUTHORS)}, not {author!r}.")
        if containing is not None and not plain_text(containing):
            raise UsageError("containing= is empty: leave it out to redact every message.")
        self.author = author
        self.containing = None if containing is None else plain_text(containing).casefold()

    def perform_action(self, item_id: str) -> dict[str, Any]:
        item = self.read_item(item_id)
        wanted = list(self._wanted(item))
        answer: dict[str, Any] = {}
        for what in wanted:
            answer = self.request("POST", "conversations/redact", json={"conversation_id": item_id, **what})
        hidden = _hidden(item)
        if hidden:
            text = f"Its {hidden} oldest parts cannot be reached through the API; the others are redacted."
            raise Rejected(text, code="too_many_parts", status=None)
        bare = self._bare(item)
        if bare:
            text = f"{bare} of its messages are files without words, which the API cannot redact; the others are."
            raise Rejected(text, code="files_left", status=None)
        if not wanted:
            raise LeftAlone("There is nothing to redact in it.", code="already_done")
        return answer

    def already_done(self, item_id: str) -> bool | None:
        item = self.read_item(item_id)
        if next(self._wanted(item), None) is not None:
            return False
        return None if _hidden(item) or self._bare(item) else True

    def _wanted(self, item: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """The first message, then the parts: what is left to redact, as the request names it."""
        source = item.get("source") or {}
        if source.get("id") and (source.get("author") or {}).get("type") in CUSTOMERS and self._is_meant(source):
            yield {"type": "source", "source_id": str(source["id"])}
        for part in parts_of(item):
            if self._is_meant(part):
                yield {"type": "conversation_part", "conversation_part_id": str(part["id"])}

    def _is_meant(self, message: Mapping[str, Any]) -> bool:
        """Parts without a body (a close, an assignment) say nothing, and are refused."""
        if not message.get("body") or message.get("redacted"):
            return False
        if not self._is_by_author(message):
            return False
        return self.containing is None or any(self.containing in text for text in _readings(str(message["body"])))

    def _bare(self, item: Mapping[str, Any]) -> int:
        """How many messages are nothing but files: a part needs a body to be redacted (OpenAPI 2.16)."""
        if self.containing is not None:
            return 0
        said = [message for message in (item.get("source") or {}, *parts_of(item)) if not message.get("body")]
        return sum(bool(one.get("attachments")) and self._is_by_author(one) and not one.get("redacted") for one in said)

    def _is_by_author(self, message: Mapping[str, Any]) -> bool:
        authors = AUTHORS[self.author]
        return authors is None or (message.get("author") or {}).get("type") in authors


def _readings(body: str) -> Iterator[str]:
    """The words of a body, for whom markup parts them, and for whom it does not: re<b>fund</b> says refund."""
    yield plain_text(body).casefold()
    yield plain_text(_TAG.sub("", body)).casefold()


def _hidden(item: Mapping[str, Any]) -> int:
    """How many parts of a thread are not shown."""
    total = (item.get("conversation_parts") or {}).get("total_count") or 0
    return max(total - len(parts_of(item)), 0)
