"""Updaters of contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.updaters.cases import Case

__all__ = ["CASES"]

CASES: tuple[Case, ...] = ()
