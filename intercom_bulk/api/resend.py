"""Which requests may be repeated when it is not known whether they were processed.

Setting a state twice is harmless; appending twice is a second note, or a second e-mail to a customer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_read", "is_resendable"]

_READS = re.compile(r"(.*/)?search|companies/list")
_SETS = re.compile(
    r"(contacts|conversations|tickets)/[^/]+/(tags|archive|unarchive|block|companies|customers|subscriptions)"
    r"|conversations/redact|tags"
)
_STATE_PARTS = frozenset({"close", "open", "snoozed", "assignment"})


def is_read(method: str, path: str) -> bool:
    """Whether the request changes nothing (searches are POSTs that only read)."""
    plain = path.partition("?")[0].strip("/")
    return method.upper() in {"GET", "HEAD"} or (method.upper() == "POST" and _READS.fullmatch(plain) is not None)


def is_resendable(method: str, path: str, body: Mapping[str, Any] | None) -> bool:
    """Whether a second effect of this request would be harmless (intercom-api.md §3.3 and §6)."""
    if is_read(method, path) or method.upper() in {"PUT", "DELETE"}:
        return True
    plain = path.partition("?")[0].strip("/")
    if re.fullmatch(r"conversations/[^/]+/parts", plain):
        said = body or {}
        return said.get("message_type") in _STATE_PARTS and not said.get("body")
    return _SETS.fullmatch(plain) is not None
