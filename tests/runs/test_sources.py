"""Sources that are somebody's own iterator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, SearchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intercom_bulk.sandbox import Sandbox
from intercom_bulk.testing import make_intercom_sandbox

__all__ = ["make_intercom_sandbox"]


class Gaps(ConversationCloser):
    """Yields None where it found no id."""

    def search_items(self, per_page: int = 150, **search_kwargs: Any) -> Iterator[str]:
        yield from ("1", None, "2")  # type: ignore[misc]


class Nothing(ConversationCloser):
    """Forgot to return what it found."""

    def search_items(self, per_page: int = 150, **search_kwargs: Any) -> Iterator[str]:
        return None  # type: ignore[return-value]


@pytest.mark.parametrize(("kind", "says"), [(Gaps, "yielded None"), (Nothing, "returned None")])
def test_no_item_is_called_none(kind: type[ConversationCloser], says: str, make_intercom_sandbox: Any) -> None:
    sandbox: Sandbox = make_intercom_sandbox(conversations=3)
    with pytest.raises(SearchError, match=rf"search_items\(\) of {kind.__name__} {says}"):
        kind(**sandbox.settings_kwargs()).bulk_process()
    assert sandbox.effects() == {}
