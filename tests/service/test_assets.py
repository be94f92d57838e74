"""What a browser gets besides the pages: ours, or npm's to the byte; and nothing from anywhere else."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import intercom_bulk.service

if TYPE_CHECKING:
    from tests.service.live import Live

HERE = Path(intercom_bulk.service.__file__).parent
FROM_NPM = {
    # npm pack htmx.org@4.0.1 uplot@1.6.32
    "vendor/htmx/htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "vendor/htmx/hx-sse.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
    "vendor/htmx/LICENSE": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
    "vendor/uplot/uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "vendor/uplot/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "vendor/uplot/LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
FILES = [path for kind in ("templates", "static") for path in sorted((HERE / kind).rglob("*")) if path.is_file()]
OWN = [path for path in FILES if "vendor" not in path.parts]
ELSEWHERE = r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}"
INLINE = r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)|\|\s*safe|autoescape|hx-on|js:"
RAW = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(.style"


def test_what_is_not_ours_is_what_npm_has() -> None:
    vendored = {str(path.relative_to(HERE / "static")) for path in FILES if "vendor" in path.parts}
    assert vendored == set(FROM_NPM)
    for name, digest in FROM_NPM.items():
        assert hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_nothing_of_ours_needs_the_network_or_an_inline_script(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(ELSEWHERE, text)
    assert path.suffix != ".html" or not re.findall(INLINE, text)
    assert path.suffix != ".js" or not re.findall(RAW, text)


def test_a_file_that_is_named_by_its_content_is_kept_and_others_are_asked_for_again(live: Live) -> None:
    assert live.raw("GET", "/", {"Host": live.host}).status == 401
    home = live.ask("GET", "/")
    assert home.headers["cache-control"] == "no-store"
    (css,) = re.findall(r'href="(/static/app\.css\?v=[0-9a-f]{12})"', home.body.decode())
    assert "immutable" in live.ask("GET", css).headers["cache-control"]
    assert live.ask("GET", "/static/app.css?v=000000000000").headers["cache-control"] == "no-cache"
    for outside in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert live.ask("GET", outside).status == 404
