"""Deadlines, reuse of connections, bodies and TLS."""

from __future__ import annotations

import gzip
import os
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests

from intercom_bulk.api import transport
from intercom_bulk.api.deadline import exchange
from intercom_bulk.api.transport import BodyTooLarge, classify, read_body, tls_context
from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import SettingsError, UsageError
from tests.transport.conftest import OK, answer, server_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from tests.transport.conftest import RawServer

    Serve = Callable[..., RawServer]
    SessionFor = Callable[..., requests.Session]

DEADLINE = 0.3
HEAD = b"HTTP/1.1 200 OK\r\n"


def fetch(session: requests.Session, url: str, *, max_bytes: int = 1_000_000) -> bytes:
    response = session.get(url + "/", stream=True, allow_redirects=False)
    return read_body(response, max_bytes=max_bytes)


def repeat(prefix: bytes, piece: bytes, pause: float) -> Callable[[Any, threading.Event], None]:
    def behave(sock: Any, stopping: threading.Event) -> None:
        sock.sendall(prefix)
        while not stopping.wait(pause):
            sock.sendall(piece)

    return behave


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(repeat(b"", b"H", 0.05), id="drip status line"),
        pytest.param(repeat(HEAD + b"X: ", b"y", 0.05), id="drip header"),
        pytest.param(repeat(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05), id="endless interim answers"),
        pytest.param(repeat(HEAD + b"Content-Length: 9999\r\n\r\n", b"y", 0.05), id="drip body"),
        pytest.param(repeat(HEAD + b"\r\n", b"y", 0.05), id="drip body without length"),
        pytest.param(repeat(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\ny\r\n", 0.05), id="drip chunks"),
        pytest.param(repeat(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", 0.05), id="drip trailers"),
    ],
)
def test_a_dripping_server_is_left_at_the_deadline(
    serve: Serve, session_for: SessionFor, authority: trustme.CA, bundle: Path, behave: Any, secure: bool
) -> None:
    server: RawServer = serve(
        lambda sock: behave(sock, server.stopping), tls=server_context(authority, "127.0.0.1") if secure else None
    )
    session = session_for(server, total_timeout=DEADLINE, ca_bundle=str(bundle))
    started = SYSTEM.monotonic()
    with pytest.raises(requests.ReadTimeout) as caught:
        fetch(session, server.url)
    assert DEADLINE * 0.9 < SYSTEM.monotonic() - started < DEADLINE + 1
    assert classify(caught.value) == (True, "read_timeout")


def test_the_end_of_an_exchange_binds_its_body_too(serve: Serve, session_for: SessionFor) -> None:
    server: RawServer = serve(
        lambda sock: repeat(HEAD + b"Content-Length: 9999\r\n\r\n", b"y", 0.05)(sock, server.stopping)
    )
    session = session_for(server)
    started = SYSTEM.monotonic()
    with exchange(until=started + DEADLINE):
        response = session.get(server.url + "/", stream=True)
    with pytest.raises(requests.ReadTimeout):
        read_body(response, max_bytes=10_000)
    assert SYSTEM.monotonic() - started < DEADLINE + 1


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{"], ids=["nothing", "a line", "a byte"])
def test_the_end_of_an_exchange_cuts_a_single_long_wait(serve: Serve, session_for: SessionFor, said: bytes) -> None:
    server: RawServer = serve(lambda sock: answer(sock, said) and server.stopping.wait())
    session = session_for(server)
    started = SYSTEM.monotonic()
    with pytest.raises(requests.ReadTimeout), exchange(until=started + DEADLINE):
        fetch(session, server.url)
    assert SYSTEM.monotonic() - started < DEADLINE + 1


def test_a_body_that_is_read_after_the_end_is_a_timeout_too(serve: Serve, session_for: SessionFor) -> None:
    server = serve(lambda sock: answer(sock, HEAD + b"Content-Length: 100000\r\n\r\n" + b"y" * 100_000))
    response = session_for(server, total_timeout=0.1).get(server.url + "/", stream=True)
    threading.Event().wait(0.15)
    with pytest.raises(requests.ReadTimeout):
        read_body(response, max_bytes=1_000_000)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_sending_to_a_server_that_does_not_read_ends_in_time(
    serve: Serve, session_for: SessionFor, authority: trustme.CA, bundle: Path, secure: bool
) -> None:
    server = serve(tls=server_context(authority, "127.0.0.1") if secure else None)

    def stuck(sock: Any) -> None:
        server.stopping.wait()

    server.read = stuck
    session = session_for(server, total_timeout=DEADLINE, ca_bundle=str(bundle))
    started = SYSTEM.monotonic()
    with pytest.raises(requests.ConnectionError) as caught:
        session.post(server.url + "/", data=b"x" * 30_000_000)
    assert SYSTEM.monotonic() - started < DEADLINE + 1.5
    assert classify(caught.value) == (True, "write_timeout")


def test_a_tls_handshake_that_hangs_was_not_sent(serve: Serve, session_for: SessionFor) -> None:
    server: RawServer = serve(lambda sock: server.stopping.wait())
    session = session_for(f"https://127.0.0.1:{server.port}", connect_timeout=0.3)
    with pytest.raises(requests.ConnectTimeout) as caught:
        fetch(session, f"https://127.0.0.1:{server.port}")
    assert classify(caught.value) == (False, "connect_timeout")


class TestBody:
    def test_an_endless_body_stops_at_the_cap(self, serve: Serve, session_for: SessionFor) -> None:
        server: RawServer = serve(lambda sock: repeat(HEAD + b"\r\n", b"y" * 60_000, 0)(sock, server.stopping))
        with pytest.raises(BodyTooLarge) as caught:
            fetch(session_for(server), server.url)
        assert classify(caught.value) == (True, "too_large")

    def test_a_gzip_bomb_stops_at_the_cap(self, serve: Serve, session_for: SessionFor) -> None:
        bomb = gzip.compress(bytes(100_000_000), 9)
        head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
        server = serve(lambda sock: answer(sock, head + bomb))
        with pytest.raises(BodyTooLarge):
            fetch(session_for(server), server.url)

    @pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 300_000])
    @pytest.mark.parametrize("form", ["length", "chunked", "gzip", "until close"])
    def test_a_body_at_its_cap_arrives_whole(self, serve: Serve, session_for: SessionFor, form: str, size: int) -> None:
        body = bytes(range(256)) * (size // 256 + 1)
        body = body[:size]
        packed = gzip.compress(body)
        wire = {
            "length": b"Content-Length: %d\r\n\r\n%b" % (size, body),
            "chunked": b"Transfer-Encoding: chunked\r\n\r\n"
            + (b"%x\r\n%b\r\n" % (size, body) if size else b"")
            + b"0\r\n\r\n",
            "gzip": b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed),
            "until close": b"\r\n" + body,
        }[form]
        server = serve(lambda sock: answer(sock, HEAD + wire) and form != "until close")
        session = session_for(server, pool_size=1)
        assert fetch(session, server.url, max_bytes=size) == body
        assert fetch(session, server.url, max_bytes=size) == body
        assert server.connections == (2 if form == "until close" else 1)
        if size:
            with pytest.raises(BodyTooLarge):
                fetch(session, server.url, max_bytes=size - 1)

    def test_a_body_given_up_frees_its_place_but_not_its_connection(
        self, serve: Serve, session_for: SessionFor
    ) -> None:
        server = serve(lambda sock: answer(sock, HEAD + b"Content-Length: 100000\r\n\r\n" + b"y" * 100_000))
        session = session_for(server, pool_size=1, connect_timeout=0.5)
        for _ in range(2):
            with pytest.raises(BodyTooLarge):
                fetch(session, server.url, max_bytes=10)
        assert server.connections == 2

    def test_an_answer_that_closes_its_connection_is_read_whole(self, serve: Serve, session_for: SessionFor) -> None:
        wire = HEAD + b"Connection: close\r\nContent-Length: 200000\r\n\r\n" + b"y" * 200_000
        server = serve(lambda sock: answer(sock, wire) and False)
        assert fetch(session_for(server), server.url) == b"y" * 200_000


class TestReuse:
    def test_a_connection_is_used_again_once_its_answer_is_read(self, serve: Serve, session_for: SessionFor) -> None:
        server = serve()
        session = session_for(server)
        for _ in range(20):
            fetch(session, server.url)
        assert (server.connections, len(server.requests)) == (1, 20)

    def test_threads_share_no_more_connections_than_the_pool_has(self, serve: Serve, session_for: SessionFor) -> None:
        server = serve()
        session = session_for(server, pool_size=3)
        bodies: list[bytes] = []
        threads = [threading.Thread(target=lambda: bodies.append(fetch(session, server.url))) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bodies == [b"{}"] * 30
        assert server.connections <= 3

    def test_a_connection_that_the_server_closed_is_not_used_again(self, serve: Serve, session_for: SessionFor) -> None:
        closed = threading.Event()

        def once(sock: Any) -> None:
            answer(sock)
            sock.close()
            closed.set()

        server = serve(once)
        session = session_for(server)
        for count in range(1, 4):
            closed.clear()
            assert fetch(session, server.url) == b"{}"
            assert closed.wait(2)
            assert server.connections == count

    def test_an_idle_connection_is_retired(self, serve: Serve, session_for: SessionFor) -> None:
        server = serve()
        session = session_for(server, max_idle=0.05)
        fetch(session, server.url)
        threading.Event().wait(0.1)
        fetch(session, server.url)
        assert server.connections == 2

    def test_one_exchange_may_ask_for_a_fresher_connection(self, serve: Serve, session_for: SessionFor) -> None:
        server = serve()
        session = session_for(server)
        fetch(session, server.url)
        threading.Event().wait(0.1)
        fetch(session, server.url)
        assert server.connections == 1
        threading.Event().wait(0.1)
        with exchange(max_idle=0.05):
            fetch(session, server.url)
        assert server.connections == 2
        fetch(session, server.url)
        assert server.connections == 2

    def test_a_slow_answer_does_not_make_its_connection_old(self, serve: Serve, session_for: SessionFor) -> None:
        def slow(sock: Any) -> bool:
            server.stopping.wait(0.3)
            return answer(sock)

        server = serve(slow)
        session = session_for(server, max_idle=0.2)
        fetch(session, server.url)
        fetch(session, server.url)
        assert server.connections == 1

    def test_a_closed_session_drops_its_connections_and_opens_anew(self, serve: Serve, session_for: SessionFor) -> None:
        server = serve()
        session = session_for(server)
        fetch(session, server.url)
        session.close()
        assert fetch(session, server.url) == b"{}"
        assert server.connections == 2


class TestTls:
    def test_a_trusted_server_is_spoken_to(
        self, serve: Serve, session_for: SessionFor, authority: trustme.CA, bundle: Path
    ) -> None:
        server = serve(tls=server_context(authority, "127.0.0.1"))
        session = session_for(server, ca_bundle=str(bundle))
        assert [fetch(session, server.url) for _ in range(3)] == [b"{}"] * 3
        assert server.connections == 1

    @pytest.mark.parametrize(("name", "trusted"), [("127.0.0.1", False), ("wrong.example.com", True)])
    def test_an_untrusted_certificate_or_a_wrong_name_is_refused_before_anything_is_sent(
        self, serve: Serve, session_for: SessionFor, authority: trustme.CA, bundle: Path, name: str, trusted: bool
    ) -> None:
        server = serve(tls=server_context(authority, name))
        session = session_for(server, ca_bundle=str(bundle) if trusted else None)
        with pytest.raises(requests.exceptions.SSLError) as caught:
            fetch(session, server.url)
        assert classify(caught.value) == (False, "certificate")
        assert server.requests == []

    @pytest.mark.parametrize("option", [{"verify": False}, {"verify": "/some/bundle.pem"}, {"cert": "/some/key.pem"}])
    def test_a_request_cannot_change_what_is_trusted(
        self, serve: Serve, session_for: SessionFor, authority: trustme.CA, bundle: Path, option: dict[str, Any]
    ) -> None:
        server = serve(tls=server_context(authority, "127.0.0.1"))
        session = session_for(server, ca_bundle=str(bundle))
        for _ in range(2):
            with pytest.raises(UsageError, match="open_session"):
                session.get(server.url + "/", **option)
            fetch(session, server.url)
        session.verify = False
        with pytest.raises(UsageError):
            fetch(session, server.url)
        assert len(server.requests) == 2

    def test_a_server_that_speaks_no_tls_was_sent_nothing(self, serve: Serve, session_for: SessionFor) -> None:
        server = serve()

        def refuse(sock: Any) -> None:
            answer(sock, b"HTTP/1.1 400 Bad Request\r\n\r\n")

        server.read = refuse
        with pytest.raises(requests.exceptions.SSLError) as caught:
            fetch(session_for(f"https://127.0.0.1:{server.port}"), f"https://127.0.0.1:{server.port}")
        assert classify(caught.value) == (False, "tls")

    def test_a_broken_record_after_the_request_may_have_been_processed(
        self, serve: Serve, session_for: SessionFor, authority: trustme.CA, bundle: Path
    ) -> None:
        def junk(sock: ssl.SSLSocket) -> None:
            with open(sock.fileno(), "wb", closefd=False) as bare:
                bare.write(b"\x17\x03\x03\x00\x20" + b"j" * 32)

        server = serve(junk, tls=server_context(authority, "127.0.0.1"))
        with pytest.raises(requests.exceptions.SSLError) as caught:
            fetch(session_for(server, ca_bundle=str(bundle)), server.url)
        assert classify(caught.value) == (True, "tls")
        assert len(server.requests) == 1

    def test_the_bundle_is_read_once_for_many_connections(
        self, serve: Serve, session_for: SessionFor, authority: trustme.CA, bundle: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "bundle.pem"
        path.write_bytes(bundle.read_bytes())
        server = serve(lambda sock: answer(sock, OK) and False, tls=server_context(authority, "127.0.0.1"))
        session = session_for(server, ca_bundle=str(path), max_idle=0.0)
        path.unlink()  # whoever reads it again fails
        for _ in range(5):
            assert fetch(session, server.url) == b"{}"
        assert server.connections == 5

    def test_old_tls_is_refused(self) -> None:
        assert tls_context(None).minimum_version == ssl.TLSVersion.TLSv1_2

    @pytest.mark.parametrize("content", [None, "", "no certificate\n"])
    def test_a_bundle_that_cannot_be_used_is_named(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "bundle.pem"
        if content is not None:
            path.write_text(content)
        with pytest.raises(SettingsError, match=r"bundle\.pem"):
            tls_context(str(path))

    def test_a_bundle_is_read_once_and_again_when_it_changed(self, authority: trustme.CA, tmp_path: Path) -> None:
        path = tmp_path / "bundle.pem"
        authority.cert_pem.write_to_path(str(path))
        first = tls_context(str(path))
        assert tls_context(str(path)) is first
        os.utime(path, ns=(0, 0))
        assert tls_context(str(path)) is not first

    def test_a_directory_of_certificates_will_do(self, tmp_path: Path) -> None:
        assert tls_context(str(tmp_path)).verify_mode == ssl.CERT_REQUIRED


def test_the_public_names_are_listed_in_order() -> None:
    assert sorted(transport.__all__) == transport.__all__
