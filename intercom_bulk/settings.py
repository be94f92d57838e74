"""What a workspace connection needs to know, checked once and then frozen."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dotenv import dotenv_values

from intercom_bulk.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

__all__ = ["API_VERSION", "REGIONS", "SYNC_STRATEGIES", "LedgerUrl", "Settings", "Token"]

logger = logging.getLogger(__name__)

API_VERSION = "2.16"
REGIONS = {
    "us": "https://api.intercom.io",
    "eu": "https://api.eu.intercom.io",
    "au": "https://api.au.intercom.io",
}
"""Intercom's own hosts by region (OpenAPI 2.16, `servers`)."""

SYNC_WORKERS = 10
SYNC_STRATEGIES = ("auto", "updated", "contacts")

_TOKEN = re.compile(r"[!-~]{8,4096}")
_VERSION = re.compile(r"\d+\.\d+|Preview|Unstable")
_ID = re.compile(r"\d{1,20}")
_LEDGER_URL = re.compile(
    r"(?P<scheme>postgres(?:ql)?)://(?:(?P<user>[^\s:@/?#]*)(?::[^\s:@/?#]*)?@)?(?P<where>[^\s@/?#]*(?:/[^\s@/?#]*)?)"
    r"(?:\?[^\s#]*)?"
)


class Token(str):
    """An access token: a plain string where it is used, masked where it is shown by `repr`.

    Old subclasses write `f"Bearer {self.access_token}"`, so `str()` has to be the secret itself.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Token('…{self[-4:]}')" if len(self) > 16 else "Token('…')"

    def __reduce__(self) -> str:
        raise TypeError("an access token is not pickled: pass it through the environment")


class LedgerUrl(str):
    """Where runs are kept, when that is a database: a plain string where it is used, masked where it is shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        parts = _LEDGER_URL.fullmatch(self)
        if parts is None:
            return "LedgerUrl('…')"
        user = f"{parts['user']}:…@" if parts["user"] is not None else ""
        return f"LedgerUrl('{parts['scheme']}://{user}{parts['where']}')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One workspace and how to reach it. Times are in seconds.

    `audit_trail` is a file that gets a JSON line for every call of ours (time, method, path, status or error, seconds,
    request id, size, and what a write sent; never the token). A run whose calls cannot be written there halts. Calls
    that an updater makes without `self.request` are not seen.

    `sync_workers` conversations are fetched at a time by a sync of the mirror; `sync_strategy` is "updated" (what
    changed, in the order of change), "contacts" (the same, and beside it those who wrote) or "auto" (the library's
    choice: "updated").

    Raises `SettingsError` for a missing or malformed value, in a sentence that says what to change.
    """

    access_token: Token
    base_url: str = REGIONS["us"]
    api_version: str = API_VERSION
    admin_id: str | None = None
    inbox_id: str | None = None
    connect_timeout: float = 5.0
    total_timeout: float = 60.0
    ca_bundle: str | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)
    home: Path = field(default_factory=lambda: home_of(os.environ))
    ledger_url: str | None = None
    audit_trail: Path | None = None
    sync_workers: int = SYNC_WORKERS
    sync_strategy: str = "auto"

    @classmethod
    def build(
        cls,
        *,
        access_token: str | None = None,
        admin_id: str | int | None = None,
        region: str | None = None,
        base_url: str | None = None,
        api_version: str | None = None,
        audit_trail: str | PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Settings:
        """Arguments first, then the environment, then `.env` in the working directory (never in a parent)."""
        if env is None:
            env = _environment()
            if base_url is None and region is None:
                _refuse_emptied(os.environ)
        token = access_token if access_token is not None else env.get("INTERCOM_ACCESS_TOKEN")
        chosen = base_url or env.get("INTERCOM_BASE_URL") or region_url(region or env.get("INTERCOM_REGION") or "us")
        url = checked_base_url(chosen)
        admin = admin_id if admin_id is not None else env.get("INTERCOM_ADMIN_ID")
        return cls(
            access_token=checked_token(token),
            base_url=url,
            api_version=checked_version(api_version or env.get("INTERCOM_API_VERSION") or API_VERSION),
            admin_id=_checked_id("INTERCOM_ADMIN_ID", admin),
            inbox_id=env.get("INTERCOM_INBOX_ID") or None,
            ca_bundle=env.get("REQUESTS_CA_BUNDLE") or env.get("CURL_CA_BUNDLE") or env.get("SSL_CERT_FILE") or None,
            proxies=_proxies(env, url),
            home=home_of(env),
            ledger_url=ledger_url_of(env),
            audit_trail=Path(audit_trail).expanduser().absolute() if audit_trail is not None else None,
            sync_workers=checked_sync_workers(env.get("INTERCOM_SYNC_WORKERS") or SYNC_WORKERS),
            sync_strategy=checked_sync_strategy(env.get("INTERCOM_SYNC_STRATEGY") or "auto"),
        )

    @classmethod
    def from_env(cls) -> Settings:
        """Everything from the environment and `.env`."""
        return cls.build()

    def redact(self, text: str) -> str:
        """The text without the token."""
        return text.replace(str(self.access_token), "…")

    @staticmethod
    def home_from_env() -> tuple[Path, str | None]:
        """Where runs are kept, folder and database, by the environment and `.env`: to look at them takes no token."""
        env = _environment()
        return home_of(env), ledger_url_of(env)

    @staticmethod
    def service_token_from_env() -> str | None:
        """The token of the run service, where somebody chose one: INTERCOM_BULK_SERVICE_TOKEN, or in `.env`."""
        return _environment().get("INTERCOM_BULK_SERVICE_TOKEN") or None

    def __repr__(self) -> str:
        runs = f", runs in {LedgerUrl(self.ledger_url)!r}" if self.ledger_url is not None else ""
        token, admin = repr(self.access_token), self.admin_id
        return f"Settings({self.base_url}, version {self.api_version}, {token}, admin {admin}{runs})"


def home_of(env: Mapping[str, str]) -> Path:
    """The folder for what outlives a process: runs, and what processes share. A URL there is a store of its own."""
    chosen = env.get("INTERCOM_BULK_HOME", "")
    return Path(chosen).expanduser() if chosen and "://" not in chosen else default_home(env)


def ledger_url_of(env: Mapping[str, str]) -> LedgerUrl | None:
    """The database for runs, where INTERCOM_BULK_HOME names one instead of a folder."""
    chosen = env.get("INTERCOM_BULK_HOME", "").strip()
    if "://" not in chosen:
        return None
    if not _LEDGER_URL.fullmatch(chosen):
        raise SettingsError(
            "INTERCOM_BULK_HOME must be a folder or postgresql://user:password@host:port/database, with @ : / ? # and"
            " spaces in the password written as %40 %3A %2F %3F %23 %20."
        )
    return LedgerUrl(chosen)


def default_home(env: Mapping[str, str]) -> Path:
    """The platform's folder for a user's state."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "intercom-bulk"
    if os.name == "nt":
        return Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "intercom-bulk"
    return Path(env.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "intercom-bulk"


def checked_token(token: str | None) -> Token:
    """The token, if it could be one."""
    if not token or not token.strip():
        raise SettingsError(
            "No access token: set INTERCOM_ACCESS_TOKEN in the environment or in .env, or pass access_token=."
        )
    if token.lower().startswith("bearer "):
        raise SettingsError("The access token starts with 'Bearer ': leave that word out, it is added for you.")
    if not _TOKEN.fullmatch(token):
        raise SettingsError(
            "The access token is malformed: it must be 8 or more printable characters without spaces or line breaks."
        )
    return Token(token)


def region_url(region: str) -> str:
    """The base URL of a region."""
    url = REGIONS.get(region.strip().lower())
    if url is None:
        raise SettingsError(f"Unknown region {region!r}: use one of {', '.join(REGIONS)}, or set INTERCOM_BASE_URL.")
    return url


def checked_base_url(url: str) -> str:
    """https anywhere, http only to this machine: the token travels in a header."""
    parts = urlsplit(url.strip())
    host = parts.hostname or ""
    if parts.username or parts.password or parts.query or parts.fragment or not host:
        raise SettingsError(
            f"The base URL must look like https://host[:port][/path], without user, query or fragment: {_shown(url)}."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise SettingsError(f"The base URL must use https (http is accepted for this machine only): {_shown(url)}.")
    return url.strip().rstrip("/")


def _refuse_emptied(env: Mapping[str, str]) -> None:
    """An address that came out empty, of a script's variable for one, must not mean the real workspace."""
    if not env.get("INTERCOM_BASE_URL", "unset").strip():
        raise SettingsError(
            "INTERCOM_BASE_URL is set in the environment but empty: give it the address that is meant, or unset it"
            " (Intercom itself is asked then)."
        )


def checked_version(version: str) -> str:
    """An API version that Intercom could know."""
    if not _VERSION.fullmatch(version.strip()):
        raise SettingsError(f"INTERCOM_API_VERSION must look like 2.16 or be Preview, not {version!r}.")
    return version.strip()


def checked_sync_workers(workers: int | str) -> int:
    """How many conversations a sync fetches at a time."""
    text = str(workers).strip()
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 128):
        raise SettingsError(f"INTERCOM_SYNC_WORKERS must be a whole number from 1 to 128, not {text[:40]!r}.")
    return int(text)


def checked_sync_strategy(strategy: str) -> str:
    """One of the ways to find what changed."""
    if strategy.strip() not in SYNC_STRATEGIES:
        raise SettingsError(f"INTERCOM_SYNC_STRATEGY must be {', '.join(SYNC_STRATEGIES)}, not {strategy[:40]!r}.")
    return strategy.strip()


def _checked_id(name: str, value: str | int | None) -> str | None:
    if value is None or value == "":
        return None
    text = str(value).strip()
    if not _ID.fullmatch(text):
        raise SettingsError(f"{name} must be a number, as in the address of the teammate's page, not {text[:40]!r}.")
    return text


def _shown(url: str) -> str:
    """Host only: what somebody pasted before an @ could be a secret."""
    return repr(url.rsplit("@", 1)[-1][:80])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _environment() -> dict[str, str]:
    """The process's environment over `.env` of the working directory."""
    path = Path.cwd() / ".env"
    values: dict[str, str] = {}
    if path.is_file():
        if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            logger.warning("%s can be read by other users of this machine: chmod 600 .env", path.name)
        values = {key: value for key, value in dotenv_values(path, interpolate=False).items() if value is not None}
    return values | dict(os.environ)


def _proxies(env: Mapping[str, str], url: str) -> dict[str, str]:
    """The proxy for this host, resolved once: the session itself trusts no environment (`.netrc` lives there too)."""
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    if _is_loopback(host):
        return {}
    bypass = env.get("NO_PROXY") or env.get("no_proxy") or ""
    exempt = [entry.strip().lstrip(".") for entry in bypass.split(",") if entry.strip()]
    if any(entry == "*" or host == entry or host.endswith("." + entry) for entry in exempt):
        return {}
    proxy = env.get(f"{scheme.upper()}_PROXY") or env.get(f"{scheme}_proxy") or env.get("ALL_PROXY")
    return {scheme: proxy} if proxy else {}
