"""Conversations: what is compiled selects what is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.agreement import agrees, many
from tests.query.expressions import expressions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Africa/Cairo"])
@many(1_500)
@given(st.data())
def test_query_and_filter_select_what_the_expression_says(zone: str, data: st.DataObject) -> None:
    agrees(data.draw(expressions("conversations", zone)), "conversations", zone)
