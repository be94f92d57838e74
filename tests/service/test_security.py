"""Who may ask: each row is one request, and what a stranger's differs in."""

from __future__ import annotations

import itertools
import json
import logging
import re
from typing import Any

import pytest

from intercom_bulk.errors import SettingsError, UsageError
from intercom_bulk.service import security
from intercom_bulk.service.serving import Service, chosen_token
from intercom_bulk.settings import Settings
from tests.service.live import TOKEN, Live

OURS = "<ours>"
HOSTS = (
    OURS,
    "localhost:<port>",
    "evil.example",
    "evil.example:<port>",
    "127.0.0.1",
    "127.0.0.1:<port>.",
    None,
)
ORIGINS = (None, OURS, "http://evil.example", "http://localhost:1", "null", "https://127.0.0.1:<port>")
SITES = (None, "same-origin", "same-site", "cross-site", "none")
CONTENT = (
    None,
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
)


def filled(value: str, live: Live) -> str:
    return value.replace("http://<ours>", f"http://{live.host}").replace("<port>", str(live.service.port))


def routes(live: Live) -> list[tuple[str, str]]:
    document = live.get("/openapi.json")
    return [(method.upper(), path) for path, told in document["paths"].items() for method in told]


def made(path: str) -> str:
    return re.sub(r"\{digest\}", "0" * 64, re.sub(r"\{run_id\}", "1", path))


def test_the_matrix_of_writes_lets_through_our_own_only(live: Live) -> None:
    """Host x Origin x Sec-Fetch-Site x content type x bearer or cookie, on a write that would stop the pipeline."""
    access = live.service.access
    refused = through = 0
    for host, origin, site, kind, by_cookie in itertools.product(HOSTS, ORIGINS, SITES, CONTENT, (False, True)):
        headers = {} if host is None else {"Host": live.host if host is OURS else filled(host, live)}
        if origin is not None:
            headers["Origin"] = f"http://{live.host}" if origin is OURS else filled(origin, live)
        if site is not None:
            headers["Sec-Fetch-Site"] = site
        if kind is not None:
            headers["Content-Type"] = kind
        headers |= (
            {"Cookie": f"{access.cookie_name}={access.cookie}"} if by_cookie else {"Authorization": f"Bearer {TOKEN}"}
        )
        try:
            answer = live.raw("POST", "/api/runs/none/stop", headers, b"{}" if kind is not None else None)
        except ConnectionError:  # without a host it is no HTTP/1.1, and hung up on before the body came
            assert host is None
            refused += 1
            continue
        ours = host in {OURS, "localhost:<port>"} and origin in {None, OURS} and site in {None, "same-origin"}
        ours = ours and kind in {None, "application/json"} and not (by_cookie and origin is None and site is None)
        assert (answer.status == 404) == ours, (headers, answer)
        assert ours or answer.status in {403, 415, 421, 400}, (headers, answer)
        through, refused = through + ours, refused + (not ours)
    assert (through, refused) == (28, 1652)


@pytest.mark.parametrize("path", ["/api/events", "/api/runs"])
def test_reads_and_streams_are_refused_to_other_origins(live: Live, path: str) -> None:
    access = live.service.access
    cookie = {"Host": live.host, "Cookie": f"{access.cookie_name}={access.cookie}"}
    asked = f"{path}?seconds=0" if path == "/api/events" else path
    assert live.raw("GET", asked, cookie).status == 200
    assert (
        live.raw("GET", asked, {**cookie, "Sec-Fetch-Site": "same-origin", "Origin": f"http://{live.host}"}).status
        == 200
    )
    for stranger in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ):
        assert live.raw("GET", asked, {**cookie, **stranger}).status == 403, stranger


def test_a_link_to_a_page_may_be_followed_from_anywhere(live: Live) -> None:
    walking = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = live.raw("GET", f"/login?token={TOKEN}", {"Host": live.host, **walking})
    assert answer.status == 303
    framed = {**walking, "Sec-Fetch-Dest": "iframe"}
    assert live.raw("GET", f"/login?token={TOKEN}", {"Host": live.host, **framed}).status == 403


def test_every_route_but_healthz_needs_the_token(live: Live) -> None:
    asked = routes(live)
    assert len(asked) >= 25
    for method, path in [*asked, ("GET", "/openapi.json"), ("GET", "/"), ("GET", "/nowhere"), ("OPTIONS", "/api/runs")]:
        body = b"{}" if method == "POST" else None
        kind = {"Content-Type": "application/json"} if body else {}
        wrong = [{"Authorization": one} for one in ("Bearer wrong", f"Basic {TOKEN}", "Bearer", TOKEN)]
        cookies = [{"Cookie": one} for one in (f"{live.service.access.cookie_name}={TOKEN}", "a=b; ü;;=")]
        for sent in ({}, *wrong, *cookies):
            answer = live.raw(method, made(path), {"Host": live.host, **kind, **sent}, body)
            if path == "/healthz":
                assert answer.status == 200
                continue
            assert answer.status == 401, (method, path, sent, answer)
            assert "token" in answer.error
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_token_in_the_address_is_taken_by_login_only(live: Live) -> None:
    assert live.raw("GET", f"/api/runs?token={TOKEN}", {"Host": live.host}).status == 401
    assert live.raw("GET", "/login?token=wrong", {"Host": live.host}).status == 401
    assert live.raw("GET", "/login", {"Host": live.host}).status == 401


def test_login_gives_a_cookie_that_no_script_and_no_other_site_gets(live: Live) -> None:
    answer = live.raw("GET", f"/login?token={TOKEN}", {"Host": live.host})
    cookie = answer.headers["set-cookie"]
    assert answer.headers["location"] == "/"
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    told = live.raw("GET", "/api/runs", {"Host": live.host, "Cookie": cookie.partition(";")[0]})
    assert told.status == 200


def test_every_answer_has_the_headers(live: Live) -> None:
    answers = [
        live.ask("GET", "/api/runs"),
        live.ask("GET", "/nowhere"),
        live.raw("GET", "/api/runs", {"Host": live.host}),
        live.raw("GET", "/api/runs", {"Host": "evil"}),
        live.ask("GET", "/metrics"),
        live.ask("POST", "/api/plans", {"operation": "none"}),
    ]
    assert [answer.status for answer in answers] == [200, 404, 401, 421, 200, 422]
    for answer in answers:
        for name, value in security.HEADERS.items():
            assert answer.headers[name] == value
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "server" not in answer.headers
    policy = security.HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_body_larger_than_the_limit_is_refused_whether_or_not_it_says_so(live: Live) -> None:
    head = {"Host": live.host, "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    large = b'{"a": "' + b"x" * security.MOST_BODY + b'"}'
    assert live.raw("POST", "/api/plans", {**head, "Content-Length": str(10**12)}, b"{}").status == 413
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large)
    answer = live.raw("POST", "/api/plans", {**head, "Transfer-Encoding": "chunked"}, chunks)
    assert answer.status == 413
    assert "1,000,000 bytes" in answer.error


def test_two_hosts_two_origins_and_two_tokens_are_refused(live: Live) -> None:
    def twice(name: str, one: str, other: str, method: str = "GET") -> int:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", live.service.port, timeout=10)
        connection.putrequest(method, "/api/runs", skip_host=True)
        rest = {"Host": live.host, "Authorization": f"Bearer {TOKEN}"}
        for known, value in rest.items():
            if known != name:
                connection.putheader(known, value)
        connection.putheader(name, one)
        connection.putheader(name, other)
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status

    assert twice("Host", live.host, "evil.example") in {400, 421}
    assert twice("Origin", f"http://{live.host}", "http://evil.example") == 403
    assert twice("Authorization", f"Bearer {TOKEN}", "Bearer other") == 401


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e%2fplans", "a/b", "a%00b", "index", "x" * 300, "%ed%a0%80", "%2fetc%2fpasswd"]
)
def test_an_id_is_never_a_path(live: Live, name: str) -> None:
    for path in (f"/api/runs/{name}", f"/api/runs/{name}/items", f"/api/runs/{name}/report", f"/api/plans/{name}"):
        answer = live.ask("GET", path)
        assert answer.status in {404, 422}, (path, answer)
        assert str(live.home) not in answer.body.decode()


def test_no_request_names_a_file_or_another_host(live: Live) -> None:
    strange: list[dict[str, object]] = [
        {"base_url": "http://evil.example"},
        {"path": "/tmp/plan.jsonl"},
        {"settings": {}},
        {"access_token": "x" * 20},
    ]
    for more in strange:
        answer = live.ask("POST", "/api/plans", {"operation": "open", "where": "state:closed", **more})
        assert answer.status == 422, answer
        answer = live.ask("POST", "/api/plans", {"operation": "open", "where": "state:closed", "arguments": more})
        assert answer.status == 400, answer
    noted = live.ask(
        "POST", "/api/plans", {"operation": "note", "arguments": {"body": "@/etc/passwd"}, "where": "state:open"}
    )
    assert noted.status == 200
    assert "root:" not in noted.body.decode()


def test_no_log_has_a_token(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("uvicorn.error", "uvicorn.access", "intercom_bulk"):
        caplog.set_level(logging.DEBUG, name)
    live.raw("GET", f"/login?token={TOKEN}", {"Host": live.host})
    live.raw("GET", f"/login?token={TOKEN}x", {"Host": live.host})
    live.get("/api/runs")
    logging.getLogger("uvicorn.error").error("asked: GET /login?token=%s and %s", TOKEN, TOKEN)
    assert "asked: GET /login?token=…" in caplog.text
    assert TOKEN not in caplog.text


def test_neither_token_is_in_any_answer(live: Live) -> None:
    plan = live.plan("open", where="state:closed")
    secrets = (TOKEN, live.sandbox.environ()["INTERCOM_ACCESS_TOKEN"], live.service.access.cookie)
    for path in (
        "/api/runs",
        "/api/plans",
        f"/api/plans/{plan['digest']}",
        "/metrics",
        "/openapi.json",
        "/api/mirror",
        "/api/rate",
    ):
        told = live.ask("GET", path).body.decode()
        assert not any(one in told for one in secrets)
    stored = [one.read_bytes() for one in live.home.rglob("*") if one.is_file()]
    assert stored
    assert not any(one.encode() in content for content in stored for one in secrets)


def test_beyond_this_machine_it_takes_a_token_of_ones_own() -> None:
    with pytest.raises(SettingsError, match="INTERCOM_BULK_SERVICE_TOKEN"):
        chosen_token(None, "0.0.0.0")
    for short in ("short", "with a space in it, and long enough", "ü" * 30):
        with pytest.raises(SettingsError, match="24 or more"):
            chosen_token(short, "127.0.0.1")
    assert chosen_token("x" * 24, "0.0.0.0") == "x" * 24
    assert chosen_token(None, "localhost") != chosen_token(None, "localhost")


def test_the_hosts_are_those_that_it_listens_on_and_those_that_are_named(live: Live, tmp_path: Any) -> None:
    settings = Settings.build(env={**live.sandbox.environ(), "INTERCOM_BULK_HOME": str(tmp_path)})
    service = Service(settings, token=TOKEN, port=0, names=["bulk.example.com", "10.0.0.5:81"])
    try:
        port = service.port
        named = {"bulk.example.com", f"bulk.example.com:{port}", "10.0.0.5:81"}
        assert service.hosts == named | {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}
    finally:
        service.close()
    with pytest.raises(UsageError, match="--allow-host"):
        Service(settings, token=TOKEN, port=0, names=["http://evil"])


def test_the_document_says_which_errors_there_are(live: Live) -> None:
    for path, told in live.get("/openapi.json")["paths"].items():
        for method, operation in told.items():
            if path != "/healthz":
                assert {"401", "403", "421"} <= set(operation["responses"]), (method, path)
    assert json.loads(live.ask("GET", "/healthz").body) == {"status": "ok"}
