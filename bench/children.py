"""Contestants in processes of their own, against one sandbox, and the account of what they did to it."""

from __future__ import annotations

import importlib.util
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

from bench.contestants import Measured
from intercom_bulk.sandbox import SandboxOptions, SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ChildError", "Run", "Site", "has_sdk", "serve"]

WINDOW = 10.0
GRACE = 60.0
"""Seconds after its own cut-off that a contestant may take to end by itself."""
_ROOT = Path(__file__).resolve().parents[1]


class ChildError(RuntimeError):
    """A contestant died; the end of its stderr says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One contestant's run: what it measured of itself, and what the sandbox saw.

    `windows`: the sandbox's account of each, from the first request on; `full`: those between the one of the first
    request and the one of the last effect. `shares`: of each full window, how much of the limit was used;
    `left_shares`: how much of what the co-tenant left.
    """

    measured: Measured
    items: int
    missed: int
    twice: int
    strays: int
    requests: int
    rejected: int
    theirs: int
    theirs_rejected: int
    shares: list[float]
    left_shares: list[float]
    left_share: float | None
    full: list[dict[str, float]]
    windows: list[dict[str, float]]

    @property
    def closed(self) -> int:
        """Items that were closed."""
        return self.items - self.missed

    @property
    def rate(self) -> float:
        """Items closed per second."""
        return self.closed / self.measured.wall

    @property
    def cpu_per_1000(self) -> float:
        """CPU seconds per 1,000 items."""
        return 1000 * self.measured.cpu / max(self.closed, 1)

    @property
    def rejected_share(self) -> float:
        """429s per request."""
        return self.rejected / max(self.requests, 1)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        derived = {"rate": self.rate, "cpu_per_1000": self.cpu_per_1000, "rejected_share": self.rejected_share}
        return {**asdict(self), **derived}


@dataclass(frozen=True, slots=True)
class Site:
    """A sandbox in a process of its own, and the CA bundle that its clients verify against (None: plain HTTP)."""

    sandbox: SandboxProcess
    bundle: Path | None

    def run(self, name: str, *, threads: int | None = None, cutoff: float = 600.0, aligned: bool = False) -> Run:
        """One contestant on a fresh workspace. `aligned`: a window of the rate limit begins just now."""
        if aligned:
            self.sandbox.set(window_phase=int(time.time() + self.sandbox.options.clock_skew) % WINDOW)
        self.sandbox.reset()
        targets = {item["id"] for item in self.sandbox.items(state="open", team=self.sandbox.inbox_id)}
        measured = self._measure(name, threads, cutoff)
        return self._account(measured, targets)

    def _measure(self, name: str, threads: int | None, cutoff: float) -> Measured:
        command = [sys.executable, "-m", "bench.contestants", name, "--admin", self.sandbox.admin_id]
        command += ["--cutoff", str(cutoff), *([] if threads is None else ["--threads", str(threads)])]
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(
                command,
                env=self.environ(home),
                cwd=home,
                capture_output=True,
                text=True,
                timeout=cutoff + GRACE,
                check=False,
            )
        if done.returncode != 0:
            raise ChildError(f"{name} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
        return Measured(**json.loads(done.stdout.splitlines()[-1]))

    def environ(self, home: str) -> dict[str, str]:
        """What a child sees: this sandbox, and nothing of whoever runs the bench."""
        kept = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
        kept = {name: value for name, value in kept.items() if not name.startswith("INTERCOM_")}
        given = {
            "PYTHONPATH": str(_ROOT),
            "HOME": home,  # no .netrc, no ledger of another run
            "INTERCOM_BULK_HOME": home,
            "INTERCOM_BASE_URL": self.sandbox.url,
            "INTERCOM_ACCESS_TOKEN": self.sandbox.token,
            "INTERCOM_INBOX_ID": self.sandbox.inbox_id,
        }
        if self.bundle is not None:
            given |= {"REQUESTS_CA_BUNDLE": str(self.bundle), "SSL_CERT_FILE": str(self.bundle)}
        return kept | given

    def _account(self, measured: Measured, targets: set[str]) -> Run:
        windows = self.sandbox.windows()
        touched = {item["id"]: item for item in self.sandbox.items() if item["effects"]}
        last = max((item["updated_at"] for item in touched.values()), default=0.0)
        used = [one for one in windows if one["ours_accepted"] + one["ours_rejected"]]
        active = [one for one in windows if used and used[0]["start"] <= one["start"] <= used[-1]["start"]]
        full = _full(active, last)
        left = [one["limit"] - one["theirs_accepted"] - one["theirs_rejected"] for one in full]
        ours = [one["ours_accepted"] for one in full]
        return Run(
            measured=measured,
            items=len(targets),
            missed=len(targets - touched.keys()),
            twice=sum(item["effects"] > 1 for item in touched.values()),
            strays=len(touched.keys() - targets),
            requests=_total(active, "ours_accepted") + _total(active, "ours_rejected"),
            rejected=_total(active, "ours_rejected"),
            theirs=_total(active, "theirs_accepted") + _total(active, "theirs_rejected"),
            theirs_rejected=_total(active, "theirs_rejected"),
            shares=[one["ours_accepted"] / one["limit"] for one in full],
            left_shares=[a / max(b, 1) for a, b in zip(ours, left, strict=True)],
            left_share=sum(ours) / max(sum(left), 1) if full else None,
            full=full,
            windows=active,
        )


def _full(active: list[dict[str, float]], last_effect: float) -> list[dict[str, float]]:
    """The windows between the first request's and the last effect's; one that nobody used is there with zeros."""
    if not active:
        return []
    first = active[0]["start"]
    known = {round((one["start"] - first) / WINDOW): one for one in active}
    end = int((last_effect - first) // WINDOW)
    idle = {"ours_accepted": 0, "ours_rejected": 0, "theirs_accepted": 0, "theirs_rejected": 0}
    return [
        known.get(at) or {**idle, "start": first + at * WINDOW, "limit": active[0]["limit"]} for at in range(1, end)
    ]


def _total(windows: list[dict[str, float]], name: str) -> int:
    return round(sum(one[name] for one in windows))


@contextmanager
def serve(*, tls: bool = False, **knobs: Any) -> Iterator[Site]:
    """A sandbox with these knobs; over TLS with a certificate made for the occasion."""
    with tempfile.TemporaryDirectory() as folder:
        bundle: Path | None = None
        if tls:
            bundle = Path(folder, "bundle.pem")
            knobs |= _certificate(Path(folder), bundle)
        with SandboxProcess(SandboxOptions(**knobs)) as sandbox:
            yield Site(sandbox, bundle)


def _certificate(folder: Path, bundle: Path) -> dict[str, str]:
    """A server certificate, and the system's CA bundle with its issuer appended, which is what production reads."""
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1", "localhost")
    certfile, keyfile = folder / "server.pem", folder / "server.key"
    certfile.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    keyfile.write_bytes(made.private_key_pem.bytes())
    bundle.write_bytes(_system_bundle() + b"\n" + authority.cert_pem.bytes())
    return {"certfile": str(certfile), "keyfile": str(keyfile)}


def _system_bundle() -> bytes:
    paths = ssl.get_default_verify_paths()
    candidates = [Path(paths.cafile)] if paths.cafile else []
    candidates += [Path(one, "ca-certificates.crt") for one in (paths.capath, paths.openssl_capath) if one]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.read_bytes()
    import certifi  # what requests itself falls back on

    return Path(certifi.where()).read_bytes()


def has_sdk() -> bool:
    """Whether the official SDK is installed (extra `bench`)."""
    return importlib.util.find_spec("intercom") is not None
