"""python -m tests.service.pictures docs/assets/

The pictures of docs/service.md: the demo of the service, looked at by a browser in both widths and both schemes.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect

from tests.service.browser.stage import browsing, width_beyond

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

WIDE, NARROW = (1280, 860), (360, 760)
MOST_BYTES = 1_500_000
ROOT = Path(__file__).parents[2]


def main(folder: Path) -> int:
    """Status 1 where a page is wider than its window, or the pictures weigh too much."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("service-*.webp"):
        old.unlink()
    wrong = []
    with demo() as login, browsing() as browser:
        page = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]}).new_page()
        page.goto(login)
        for name in shown(page, login.split("/login")[0]):
            for scheme in ("light", "dark"):
                for size, word in ((WIDE, "wide"), (NARROW, "narrow")):
                    if (name, scheme) not in BOTH and (scheme, word) != ("light", "wide"):
                        continue
                    page.emulate_media(color_scheme=scheme)
                    page.set_viewport_size({"width": size[0], "height": size[1]})
                    page.evaluate("scrollTo(0, 0)")
                    page.wait_for_timeout(400)  # a chart is drawn again when its width has settled
                    wrong += [f"{name} at {size[0]}: {over} px too wide" for over in [width_beyond(page)] if over]
                    save(page, folder / f"service-{name}-{scheme}-{word}.webp")
            page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    weight = sum(path.stat().st_size for path in folder.glob("service-*.webp"))
    sys.stdout.write(f"{len(list(folder.glob('service-*.webp')))} pictures, {weight:,} bytes\n")
    wrong += [f"{weight:,} bytes are more than {MOST_BYTES:,}"] if weight > MOST_BYTES else []
    sys.stdout.write("".join(f"{one}\n" for one in wrong))
    return 1 if wrong else 0


BOTH = {("runs", "light"), ("runs", "dark"), ("mirror", "light"), ("mirror", "dark"), ("run", "light"), ("run", "dark")}


def shown(page: Page, base: str) -> Iterator[str]:
    """Goes from page to page, and says the name of each."""
    page.goto(f"{base}/")
    expect(page.locator(".run .chip").first).to_be_visible(timeout=60_000)  # some have failed: the reasons are shown
    page.wait_for_timeout(25_000)  # windows to draw
    page.reload()
    yield "runs"
    page.locator(".run h3 a").first.click()
    expect(page.locator(".plot canvas").first).to_be_visible()
    yield "run"
    page.goto(f"{page.url}?status=failed")
    page.locator("#items-title").scroll_into_view_if_needed()
    yield "items"
    page.goto(f"{base}/")
    page.get_by_role("link", name="Close conversations", exact=True).last.click()
    page.get_by_role("button", name="Undo…").click()
    yield "undo"
    page.goto(f"{base}/plan?operation=assign")
    yield "plan"
    page.get_by_label("Operation").select_option("tag")
    expect(page.get_by_label("Tag")).to_be_visible()
    page.get_by_label("Tag").fill("vip")
    page.get_by_label("Which").fill("state:snoozed created<30d")
    page.get_by_role("button", name="Make the plan").click()
    page.wait_for_url("**/plans/*", timeout=60_000)
    yield "approve"
    for name in ("mirror", "pipeline", "rate"):
        page.goto(f"{base}/{name}")
        yield name


def save(page: Page, path: Path) -> None:
    """WebP, by the browser that draws it: nothing else here can write one."""
    if page.get_by_role("heading", name="That did not work").count():
        raise SystemExit(f"{page.url}: {page.locator('main').inner_text()}")
    session = page.context.new_cdp_session(page)
    answer = session.send("Page.captureScreenshot", {"format": "webp", "quality": 82})
    path.write_bytes(base64.b64decode(answer["data"]))
    session.detach()


@contextmanager
def demo() -> Iterator[str]:
    """The demo in a process of its own; the address that lets a browser in."""
    command = [sys.executable, str(ROOT / "examples" / "demo_service.py"), "--port", "0"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, process_group=0) as process:
        assert process.stdout is not None
        try:
            found = next((line for line in process.stdout if re.match(r"http://\S+/login", line)), None)
            if found is None:
                raise SystemExit("The demo did not start; its own words are above.")
            yield found.strip()
        finally:
            os.kill(process.pid, signal.SIGINT)
            process.wait(30)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/assets")))
