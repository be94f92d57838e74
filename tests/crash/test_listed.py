"""A large list of ids with its usual flaws. `make crash` changes 50,000 items for real."""

from __future__ import annotations

import pytest

from tests.crash.listed import listed


@pytest.mark.slow
def test_every_row_of_a_large_list_is_accounted_for_in_flat_memory() -> None:
    """50,000 rows kept as what is said of them would be 100 MB; their ids alone 5 MB."""
    few, many = listed(5_000, dry_run=True), listed(50_000, dry_run=True)
    assert few.is_accounted
    assert many.is_accounted
    assert many["peak"] - few["peak"] < 10_000_000


def test_every_row_of_a_list_is_accounted_for_where_items_are_changed() -> None:
    assert listed(2_000).is_accounted
