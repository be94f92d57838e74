"""Contacts, whose dates Intercom compares by days: what is compiled selects what is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.query.agreement import agrees, many
from tests.query.expressions import expressions
from tests.query.worlds import ZONES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize("zone", ZONES)
@many(700)
@given(st.data())
def test_query_and_filter_select_what_the_expression_says(zone: str, data: st.DataObject) -> None:
    agrees(data.draw(expressions("contacts", zone)), "contacts", zone)
