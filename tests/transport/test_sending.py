"""One request is received once, whatever the server does, and `classify` says what is known about it."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest
import requests
import responses

from intercom_bulk.api.deadline import exchange
from intercom_bulk.api.transport import classify, open_session, read_body
from intercom_bulk.clock import SYSTEM
from tests.transport.conftest import OK, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.transport.conftest import RawServer

    Serve = Callable[..., RawServer]
    SessionFor = Callable[..., requests.Session]


def post(session: requests.Session, url: str, **options: Any) -> requests.Response:
    options = {"allow_redirects": False, "stream": True, "data": b'{"a":1}', **options}
    return session.post(url + "/things", **options)


def post_and_read(session: requests.Session, url: str, **options: Any) -> bytes:
    return read_body(post(session, url, **options), max_bytes=1_000_000)


def close(sock: Any) -> None:
    sock.close()


def reset(sock: Any) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def says(data: bytes) -> Callable[[Any], None]:
    return lambda sock: sock.sendall(data)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        pytest.param(close, "reset", id="close"),
        pytest.param(reset, "reset", id="rst"),
        pytest.param(says(b"\x00\x01junk\r\n\r\n"), "protocol", id="junk"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Le"), "cut", id="cut in a header line"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"), "cut", id="cut before the blank line"),
        pytest.param(says(b"HTTP/1.1 200 O"), "cut", id="cut in the status line"),
        pytest.param(says(b"HTTP/1.1 100 Continue\r\n\r\n"), "reset", id="close after an interim answer"),
        pytest.param(says(HEAD + b"Content-Length: 20\r\n\r\n{"), "cut", id="body shorter than its length"),
        pytest.param(says(HEAD + b"Content-Length: 20\r\n\r\n"), "cut", id="no body at all"),
        pytest.param(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"), "cut", id="cut in a chunk"),
        pytest.param(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), "cut", id="last chunk missing"),
        pytest.param(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), "cut", id="chunk of no size"),
        pytest.param(says(HEAD + b"Content-Length: 2, 3\r\n\r\n{}"), "protocol", id="two lengths"),
        pytest.param(
            says(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"), "encoding", id="not gzip after all"
        ),
    ],
)
def test_a_bad_answer_is_an_error_and_the_request_was_received_once(
    serve: Serve, session_for: SessionFor, behave: Callable[[Any], object], code: str
) -> None:
    server = serve(behave)
    with pytest.raises(requests.RequestException) as caught:
        post_and_read(session_for(server), server.url)
    assert classify(caught.value) == (True, code)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["503 Unavailable", "429 Slow down", "307 Moved", "308 Moved", "401 No"])
def test_a_refusal_is_handed_over_and_not_acted_upon(serve: Serve, session_for: SessionFor, status: str) -> None:
    extra = "Location: /elsewhere\r\nRetry-After: 0\r\nWWW-Authenticate: Basic\r\n"
    server = serve(lambda sock: answer(sock, f"HTTP/1.1 {status}\r\n{extra}Content-Length: 0\r\n\r\n".encode()))
    response = post(session_for(server), server.url)
    assert (response.status_code, read_body(response, max_bytes=10)) == (int(status[:3]), b"")
    assert len(server.requests) == 1


def test_a_server_that_never_answers_got_the_request_once(serve: Serve, session_for: SessionFor) -> None:
    server: RawServer = serve(lambda sock: server.stopping.wait())
    with pytest.raises(requests.ReadTimeout) as caught:
        post(session_for(server, total_timeout=0.3), server.url)
    assert classify(caught.value) == (True, "read_timeout")
    assert len(server.requests) == 1


def test_head_and_body_leave_in_one_piece(serve: Serve, session_for: SessionFor) -> None:
    server = serve()
    assert post_and_read(session_for(server), server.url) == b"{}"
    assert server.requests[0].startswith(b"POST /things HTTP/1.1\r\n")
    assert server.requests[0].endswith(b'\r\n\r\n{"a":1}')


def test_a_request_with_an_invalid_header_is_not_sent(serve: Serve, session_for: SessionFor) -> None:
    server = serve()
    session = session_for(server)
    request = session.prepare_request(requests.Request("POST", server.url + "/things", data=b"{}"))
    request.headers["X-Evil"] = "a\r\nX-More: b"
    with pytest.raises(ValueError, match="Invalid header value"):
        session.send(request, allow_redirects=False, stream=True)
    assert server.requests == []
    assert post_and_read(session, server.url) == b"{}"


def test_netrc_does_not_replace_the_bearer_header(
    serve: Serve, session_for: SessionFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve()
    post_and_read(session_for(server), server.url, headers={"Authorization": "Bearer right"})
    assert b"\r\nAuthorization: Bearer right\r\n" in server.requests[0]


def test_proxies_of_the_environment_are_not_used(
    serve: Serve, session_for: SessionFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = serve()
    assert post_and_read(session_for(server), server.url) == b"{}"


def test_cookies_are_neither_kept_nor_sent(serve: Serve, session_for: SessionFor) -> None:
    server = serve(lambda sock: answer(sock, OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n")))
    session = session_for(server)
    for _ in range(2):
        post_and_read(session, server.url)
    assert len(session.cookies) == 0
    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "https://127.0.0.1/x", "http://example.com/"])
def test_another_origin_has_no_adapter(serve: Serve, session_for: SessionFor, url: str) -> None:
    with pytest.raises(requests.exceptions.InvalidSchema) as caught:
        session_for(serve()).get(url)
    assert classify(caught.value) == (False, "invalid")


def test_a_host_that_only_starts_like_ours_has_no_adapter(session_for: SessionFor) -> None:
    session = session_for("https://api.example.com")
    with pytest.raises(requests.exceptions.InvalidSchema):
        session.get("https://api.example.com@127.0.0.1/")


def test_a_closed_port_was_not_sent(session_for: SessionFor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(requests.ConnectionError) as caught:
        post(session_for(url), url)
    assert classify(caught.value) == (False, "refused")


def test_an_unknown_name_was_not_sent(session_for: SessionFor, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(requests.ConnectionError) as caught:
        post(session_for("http://nowhere.invalid"), "http://nowhere.invalid")
    assert classify(caught.value) == (False, "dns")


def test_a_connect_that_is_never_accepted_was_not_sent(session_for: SessionFor) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(3)]  # fill the queue: further SYNs are dropped
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}"
        with pytest.raises(requests.ConnectTimeout) as caught:
            post(session_for(url, connect_timeout=0.2), url)
        for sock in waiting:
            sock.close()
    assert classify(caught.value) == (False, "connect_timeout")


def test_no_free_connection_is_an_error_in_time_and_not_sent(serve: Serve, session_for: SessionFor) -> None:
    server = serve()
    session = session_for(server, pool_size=1, connect_timeout=0.2)
    held = post(session, server.url)
    with pytest.raises(requests.ConnectionError) as caught:
        post(session, server.url)
    assert classify(caught.value) == (False, "pool")
    assert len(server.requests) == 1
    assert read_body(held, max_bytes=10) == b"{}"
    assert post_and_read(session, server.url) == b"{}"


def test_an_exchange_without_time_is_not_sent(serve: Serve, session_for: SessionFor) -> None:
    server = serve()
    session = session_for(server)
    post_and_read(session, server.url)
    with pytest.raises(requests.ConnectTimeout) as caught, exchange(until=SYSTEM.monotonic()):
        post(session, server.url)
    assert classify(caught.value) == (False, "connect_timeout")
    assert len(server.requests) == 1


class TestProxy:
    def test_a_refused_tunnel_was_not_sent(self, serve: Serve, session_for: SessionFor) -> None:
        proxy = serve(lambda sock: answer(sock, b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n"))
        session = session_for("https://api.example.com", proxies={"https": proxy.url})
        with pytest.raises(requests.exceptions.ProxyError) as caught:
            post(session, "https://api.example.com")
        assert classify(caught.value) == (False, "proxy")
        assert [request.split(b"\r\n")[0] for request in proxy.requests] == [b"CONNECT api.example.com:443 HTTP/1.0"]

    def test_a_tunnel_that_is_dripped_ends_in_time(self, serve: Serve, session_for: SessionFor) -> None:
        def drip(sock: Any) -> None:
            while not proxy.stopping.wait(0.05):
                sock.sendall(b"H")

        proxy = serve(drip)
        session = session_for("https://api.example.com", proxies={"https": proxy.url}, total_timeout=0.4)
        started = SYSTEM.monotonic()
        with pytest.raises(requests.RequestException) as caught:
            post(session, "https://api.example.com")
        assert SYSTEM.monotonic() - started < 1.4
        assert classify(caught.value) == (False, "proxy")

    def test_a_proxy_that_is_not_there_was_not_sent(self, session_for: SessionFor) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(requests.exceptions.ProxyError) as caught:
            post(session_for("https://api.example.com", proxies={"https": url}), "https://api.example.com")
        assert classify(caught.value) == (False, "proxy")

    def test_a_reset_behind_a_proxy_may_have_been_processed(self, serve: Serve, session_for: SessionFor) -> None:
        """urllib3 calls this a ProxyError, like the failures before anything was sent."""
        proxy = serve(close)
        session = session_for("http://api.example.com", proxies={"http": proxy.url})
        with pytest.raises(requests.RequestException) as caught:
            post(session, "http://api.example.com")
        assert classify(caught.value)[0] is True
        assert len(proxy.requests) == 1


def test_the_failure_of_an_earlier_attempt_does_not_count() -> None:
    error = requests.ReadTimeout("second attempt")
    error.__context__ = requests.ConnectTimeout("first attempt")
    assert classify(error) == (True, "read_timeout")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (requests.ConnectTimeout(), (False, "connect_timeout")),
        (requests.ReadTimeout(), (True, "read_timeout")),
        (requests.exceptions.ProxyError(), (True, "protocol")),
        (requests.exceptions.SSLError(), (True, "tls")),
        (requests.exceptions.InvalidURL(), (False, "invalid")),
        (BrokenPipeError(), (True, "reset")),
        (RuntimeError(), (True, "protocol")),
    ],
)
def test_a_bare_error_counts_as_sent_unless_its_type_proves_otherwise(
    error: Exception, expected: tuple[bool, str]
) -> None:
    assert classify(error) == expected


@responses.activate
def test_the_session_can_be_mocked_with_responses() -> None:
    responses.add("POST", "https://api.example.com/things", json={"id": "1"}, status=201)
    with open_session(base_url="https://api.example.com", pool_size=1) as session:
        response = post(session, "https://api.example.com")
        assert (response.status_code, read_body(response, max_bytes=100)) == (201, b'{"id": "1"}')
