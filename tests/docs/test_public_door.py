"""The names that `intercom_bulk` promises."""

from __future__ import annotations

import intercom_bulk


def test_the_public_names_are_sorted_and_said_once() -> None:
    assert list(intercom_bulk.__all__) == sorted(set(intercom_bulk.__all__))


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in intercom_bulk.__all__:
        assert getattr(intercom_bulk, name).__doc__, name


def test_what_is_there_is_public_or_a_module() -> None:
    modules = {"api", "clock", "display", "errors", "runs", "sandbox", "settings", "sources", "testing", "updaters"}
    visible = {name for name in vars(intercom_bulk) if not name.startswith("_")}
    assert visible - modules - {"workspace"} == set(intercom_bulk.__all__)


def test_the_package_says_what_it_is_for() -> None:
    assert intercom_bulk.__doc__
