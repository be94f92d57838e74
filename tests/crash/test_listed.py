"""A large list of ids with its usual flaws. `make crash` changes 50,000 items for real."""

from __future__ import annotations

import pytest

from tests.crash.listed import listed


@pytest.mark.long
@pytest.mark.slow
def test_every_row_of_a_large_list_is_accounted_for_in_flat_memory() -> None:
    """16,000 more rows kept as what is said of them would be 32 MB."""
    few, many = listed(4_000, dry_run=True), listed(20_000, dry_run=True)
    assert few.is_accounted
    assert many.is_accounted
    assert many["peak"] - few["peak"] < 8_000_000


def test_every_row_of_a_list_is_accounted_for_where_items_are_changed() -> None:
    assert listed(2_000).is_accounted
