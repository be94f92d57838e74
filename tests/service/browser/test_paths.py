"""The main paths, as a person walks them: plan, approve, watch, pause, go on, stop, resume, undo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.service.browser.stage import Stage

pytestmark = pytest.mark.slow


def planned(page: Page, stage: Stage, operation: str, where: str, **arguments: str) -> None:
    """By the form; ends on the page of the plan."""
    page.goto(f"{stage.url}/plan")
    with page.expect_response(re.compile("part=form")):
        page.get_by_label("Operation").select_option(operation)
    for label, value in arguments.items():
        page.get_by_label(label).fill(value)
    page.get_by_label("Which").fill(where)
    page.get_by_role("button", name="Make the plan").click()
    page.wait_for_url("**/plans/*")


def test_a_run_is_planned_approved_paused_continued_stopped_resumed_and_taken_back(page: Page, stage: Stage) -> None:
    before = stage.sandbox.digest()
    planned(page, stage, "close", "state:open")
    opened = sum(one["state"] == "open" for one in stage.sandbox.items())
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{opened:,} of {opened:,} would change")
    assert stage.sandbox.digest() == before  # a plan writes nothing

    page.get_by_role("button", name=f"Approve: change {opened:,} conversations").click()
    page.wait_for_url("**/runs/*")
    state = page.locator(".head .state")
    expect(state).to_have_text("running")
    expect(page.locator("#link-state")).to_have_text("Live")
    # The numbers move without a hand on the page.
    settled = page.locator(".run-progress .line b")
    first = settled.inner_text()
    expect(settled).not_to_have_text(first)

    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("paused")
    page.get_by_role("button", name="Go on").click()
    expect(state).to_have_text("running")

    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop the run").click()
    expect(state).to_have_text("stopped")
    assert 0 < sum(one["state"] == "closed" for one in stage.sandbox.items())

    stage.sandbox.set(latency_ms=5)
    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text("completed", timeout=20_000)
    assert all(one["state"] != "open" for one in stage.sandbox.items())
    # The table of items says so too, without being asked again.
    expect(page.locator(".tabs a").filter(has_text="Done")).to_contain_text(f"{opened:,}")

    page.get_by_role("button", name="Undo…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{opened:,} conversations that this run changed are put back")
    dialog.get_by_role("button", name=f"Undo {opened:,} items").click()
    page.wait_for_url(lambda url: "/runs/" in url and "undo" not in url)
    expect(page.locator(".head")).to_contain_text("undo")
    expect(page.locator(".head .state")).to_have_text("completed", timeout=20_000)
    assert sum(one["state"] == "open" for one in stage.sandbox.items()) == opened
