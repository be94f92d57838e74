"""A PostgreSQL server to test against: the one that is named, else the one on its usual port, else one of our own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NAMED", "database", "empty", "program", "server", "started"]

NAMED = "INTERCOM_BULK_TEST_POSTGRES"
"""A URL of a database whose role may make databases."""

USUAL = ("postgresql://127.0.0.1:5432/postgres", "postgresql://postgres@127.0.0.1:5432/postgres")


@contextmanager
def server() -> Iterator[str | None]:
    """The URL of a server; None where there is none to be had. One that is named has to work."""
    named = os.environ.get(NAMED)
    usual = next((url for url in USUAL if named is None and _may_make_databases(url)), None)
    where = program() if named is None and usual is None else None
    if where is None:
        yield named or usual
        return
    with started(where) as url:
        yield url


@contextmanager
def database(url: str) -> Iterator[str]:
    """The URL of an empty database, gone afterwards."""
    name = f"intercom_bulk_test_{os.getpid()}_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def empty(server: str, url: str) -> None:
    """Leave nothing of a test behind: no setting, no connection, no schema."""
    name = urlsplit(url).path.strip("/")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" RESET ALL')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("DROP SCHEMA IF EXISTS intercom_bulk CASCADE")


def program() -> Path | None:
    """The folder of the newest installed server."""
    on_path = shutil.which("postgres")
    if on_path is not None and shutil.which("initdb") is not None:
        return Path(on_path).parent
    roots = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")
    found = [path.parent for root in roots for path in Path(root).glob("*/bin/initdb")]
    return max(found, key=lambda path: (len(path.parent.name), path.parent.name), default=None)


@contextmanager
def started(where: Path) -> Iterator[str]:
    """A server of our own in a temporary folder. It refuses to run as root, so it is somebody else's then."""
    owner = _owner()
    folder = Path(tempfile.mkdtemp(prefix="intercom-bulk-postgres-"))
    if owner is not None:
        shutil.chown(folder, owner)
    port = _free_port()
    data = folder / "data"
    make: list[str | Path] = [
        where / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale",
        "C",
        "--no-sync",
    ]
    serve: list[str | Path] = [where / "postgres", "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1", "-F"]
    try:
        subprocess.run(make, check=True, capture_output=True, cwd=folder, user=owner, timeout=60)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(serve, stdout=log, stderr=log, cwd=folder, user=owner)
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            _wait_for(url, process)
            yield url
        finally:
            process.send_signal(2)  # a fast shutdown
            process.wait(30)
    finally:
        shutil.rmtree(folder)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if _may_make_databases(url):
            return
        assert process.poll() is None, "the server ended at once"
        threading.Event().wait(0.05)
    raise AssertionError("the server did not come up")


def _may_make_databases(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            sql = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            return connection.execute(sql).fetchone() == (True,)
    except psycopg.Error:
        return False


def _owner() -> str | None:
    """Whose process the server is: None is ours."""
    if os.geteuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
