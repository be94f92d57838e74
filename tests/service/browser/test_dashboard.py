"""The pages in a real browser: the main paths, every page for everybody, and nothing for an attacker."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.service.browser.hostile import PAYLOAD, RUN
from tests.service.browser.stage import let_in, width_beyond

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

    from tests.service.browser.stage import Stage
    from tests.service.test_around import Held

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


def is_for_everybody(page: Page) -> None:
    """No serious fault that axe finds, in the light and in the dark; and nothing wider than a telephone."""
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert width_beyond(page) == 0, width
    for scheme, rules in (("light", None), ("dark", ["color-contrast"])):  # all else is the same in the dark
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
        found = Axe().run(page, options=options).response["violations"]
        bad = [(one["id"], one["nodes"][0]["html"][:300]) for one in found if one["impact"] in {"serious", "critical"}]
        assert not bad, scheme


def test_a_run_is_planned_approved_paused_continued_stopped_resumed_and_taken_back(page: Page, stage: Stage) -> None:
    # Two a second: it moves, and is not over before a test that waits for it would be.
    stage.sandbox.set(limit_per_minute=120)
    before = stage.sandbox.digest()
    planned(page, stage, "close", "state:open")
    opened = sum(one["state"] == "open" for one in stage.sandbox.items())
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{opened:,} of {opened:,} would change")
    assert stage.sandbox.digest() == before  # a plan writes nothing
    is_for_everybody(page)

    page.get_by_role("button", name=f"Approve: change {opened:,} conversations").click()
    page.wait_for_url("**/runs/*")
    state = page.locator(".head .state")
    expect(state).to_have_text("running")
    expect(page.locator("#link-state")).to_have_text("Live")
    # The numbers move without a hand on the page.
    settled = page.locator(".run-progress .line b")
    first = settled.inner_text()
    expect(settled).not_to_have_text(first)
    is_for_everybody(page)

    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("paused")
    page.get_by_role("button", name="Go on").click()
    expect(state).to_have_text("running")

    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop the run").click()
    expect(state).to_have_text("stopped")
    assert 0 < sum(one["state"] == "closed" for one in stage.sandbox.items()) < opened

    stage.sandbox.set(limit_per_minute=60_000)
    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text("completed", timeout=30_000)
    assert all(one["state"] != "open" for one in stage.sandbox.items())
    # The table of items says so too, without being asked again.
    expect(page.locator(".tabs a").filter(has_text="Done")).to_contain_text(f"{opened:,}")

    page.get_by_role("button", name="Undo…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{opened:,} conversations that this run changed are put back")
    dialog.get_by_role("button", name=f"Undo {opened:,} items").click()
    page.wait_for_url(lambda url: "/runs/" in url and "undo" not in url)
    expect(page.locator(".head")).to_contain_text("undo")
    expect(page.locator(".head .state")).to_have_text("completed", timeout=30_000)
    assert sum(one["state"] == "open" for one in stage.sandbox.items()) == opened


PAGES = ("/", "/plan", f"/runs/{RUN}?status=failed", "/mirror", "/pipeline", "/rate")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_for_everybody(page: Page, stage: Stage, path: str) -> None:
    page.goto(f"{stage.url}{path}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    is_for_everybody(page)


_SCRIPT = "%22%3E%3Cscript%3Ewindow.hurt%3D1%3C%2Fscript%3E"
HURTING = (*PAGES, f"/runs/{RUN}", f"/runs/{RUN}?text={_SCRIPT}", f"/plan?where={_SCRIPT}", f"/runs/{_SCRIPT}")


def test_what_an_attacker_wrote_is_text(browser: Browser, stage: Stage) -> None:
    context, page = let_in(browser, stage)
    for path in HURTING:
        page.goto(f"{stage.url}{path}")
        assert page.locator("script:not([src]), img, [onerror], [onload], a[href^=javascript]").count() == 0, path
        assert page.evaluate("window.hurt") is None, path
        written = page.content().count("&lt;script&gt;window.hurt=1")
        assert written >= {f"/runs/{RUN}": 100, "/pipeline": 6, "/mirror": 1, "/": 2}.get(path, 0), path
    page.goto(f"{stage.url}/plan?operation=tag")
    page.get_by_label("Tag").fill(PAYLOAD)
    page.get_by_label("Which").fill("state:open")
    page.get_by_role("button", name="Make the plan").click()
    expect(page.locator("form [data-error]")).to_contain_text("<img src=x")  # an error that quotes it
    assert page.evaluate("window.hurt") is None
    context.close()


def test_what_nobody_can_undo_is_typed(page: Page, stage: Stage) -> None:
    stage.sandbox.set(latency_ms=0)
    some = ",".join(one["id"] for one in stage.sandbox.items()[:3])
    planned(page, stage, "reply", f"id:{some}", Body="Seen.")
    button = page.get_by_role("button", name="Approve: change 3 conversations")
    expect(button).to_be_disabled()
    word = page.get_by_label("To approve, type")
    word.fill("yes")
    expect(button).to_be_disabled()
    word.fill("irreversible")
    button.click()
    page.wait_for_url("**/runs/*")
    expect(page.locator(".head .state")).to_have_text("completed")


def test_a_search_narrows_the_items_and_pages_go_on_where_the_last_one_ended(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/runs/{RUN}")
    rows = page.locator(".items-table tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Next 50").click()
    expect(rows).to_have_count(10)
    page.goto(f"{stage.url}/runs/{RUN}?status=failed")
    expect(rows).to_have_count(20)
    page.get_by_role("searchbox").fill("16 <img")
    expect(rows).to_have_count(1)


def test_a_keyboard_is_enough(page: Page, stage: Stage) -> None:
    page.goto(stage.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.goto(f"{stage.url}/runs/{RUN}")
    undo = page.get_by_role("button", name="Undo…")
    undo.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    expect(undo).to_be_focused()


def test_a_scheme_once_chosen_stays(browser: Browser, stage: Stage) -> None:
    context, page = let_in(browser, stage)
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Switch between dark and light").click()
    page.goto(f"{stage.url}/rate")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    context.close()


def test_a_lost_connection_is_said_and_found_again(browser: Browser, stage: Stage) -> None:
    context, page = let_in(browser, stage)
    expect(page.locator("#link-state")).to_have_text("Live")
    page.route("**/api/events", lambda route: route.abort())
    for stream in set(stage.desk.hub._streams["all"]):
        stream.put(None)  # it ends, as it does when the service stops; and the next try finds nobody
    expect(page.get_by_role("alert")).to_contain_text("Connection to the service lost")
    expect(page.locator("#link-state")).to_have_text("Not connected")
    page.unroute("**/api/events")
    expect(page.locator("#link-state")).to_have_text("Live", timeout=15_000)
    expect(page.locator("#banner")).to_be_hidden()
    context.close()


def test_a_pipeline_is_started_stopped_and_resumed(page: Page, stage: Stage, held: Held) -> None:
    """Last: another run of the pipeline takes the place of the attacker's."""
    page.goto(f"{stage.url}/pipeline")
    page.get_by_label("Days back").fill("30")
    page.get_by_role("button", name="Start", exact=True).click()
    run = page.locator(".card.run")
    expect(run.get_by_role("heading")).to_have_text("Run 2")
    expect(run.locator("header .state")).to_have_text("running")
    assert held.reached.wait(60)  # it is in the midst of a phase, and stays there

    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop run 2").click()
    expect(page.get_by_text("Stopping: the batch under way ends first.")).to_be_visible()
    held.set()
    expect(run.locator("header .state")).to_have_text("stopped")
    stopped = stage.desk.pipeline.status(2)
    assert 0 < stopped["conversations_classified"] < stopped["conversations_stored"]

    run.get_by_role("button", name="Resume run 2").click()
    expect(run.locator("header .state")).to_have_text("completed")
    over = stage.desk.pipeline.status(2)
    assert over["conversations_classified"] == over["conversations_stored"]
    assert [one["run_id"] for one in stage.desk.pipeline.history()] == [2, 1]


def test_a_page_whose_scripts_come_late_is_live_all_the_same(page: Page, stage: Stage) -> None:
    def late(route: Route) -> None:  # the other scripts are there long before
        threading.Event().wait(1.0)
        route.continue_()

    page.route("**/hx-sse.min.js*", late)
    page.route("**/live.js*", late)
    page.goto(stage.url)
    expect(page.locator("#link-state")).to_have_text("Live")
