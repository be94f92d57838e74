"""Tickets, and companies, which are filtered here alone: what is compiled selects what is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from tests.query.agreement import agrees, many
from tests.query.expressions import expressions

if TYPE_CHECKING:
    from intercom_bulk.api.language.expression import Expression

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@many(1_400)
@given(expressions("tickets", "America/Los_Angeles"))
def test_query_and_filter_select_what_the_expression_says(expression: Expression) -> None:
    agrees(expression, "tickets", "America/Los_Angeles")


@many(600)
@given(expressions("companies", "America/Los_Angeles"))
def test_companies_are_filtered_here(expression: Expression) -> None:
    agrees(expression, "companies", "America/Los_Angeles")
