"""The names that `intercom_bulk` promises."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import intercom_bulk


def test_the_public_names_are_sorted_and_said_once() -> None:
    assert list(intercom_bulk.__all__) == sorted(set(intercom_bulk.__all__))


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in intercom_bulk.__all__:
        assert getattr(intercom_bulk, name).__doc__, name


def test_type_checkers_see_the_same_names_from_the_same_places() -> None:
    stub = ast.parse(Path(intercom_bulk.__file__).with_suffix(".pyi").read_text())
    seen = {alias.name: line.module for line in stub.body if isinstance(line, ast.ImportFrom) for alias in line.names}
    assert seen == intercom_bulk._HOMES  # type: ignore[attr-defined]


def test_nothing_is_loaded_before_it_is_used() -> None:
    asked = "import sys, intercom_bulk; print([m for m in ('requests', 'tenacity', 'sqlite3') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_the_package_says_what_it_is_for() -> None:
    assert intercom_bulk.__doc__
