"""`doctor`: everything that has to be well before a run, looked at, with what to mend. Writes nothing."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from intercom_bulk.cli.ending import Exit
from intercom_bulk.cli.making import settings
from intercom_bulk.cli.screen import Screen, wrapped
from intercom_bulk.errors import ApiError, IntercomBulkError, RateLimited, SettingsError, Unauthorized
from intercom_bulk.settings import REGIONS, Settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from intercom_bulk.workspace import Workspace

__all__ = ["doctor"]

WELL, ODD, BAD = "ok", "look", "BAD"
SKEW = 2.0
"""Seconds by which a clock may be off before somebody is told."""
ROOM = 200 * 1024 * 1024
"""Bytes free below which a large run might not find room for its ledger."""
SCOPES = (
    ("conversations", "GET", "conversations"),
    ("conversations", "POST", "conversations/search"),
    ("contacts", "GET", "contacts"),
    ("companies", "GET", "companies"),
    ("tickets", "POST", "tickets/search"),
    ("admins", "GET", "admins"),
    ("teams", "GET", "teams"),
    ("tags", "GET", "tags"),
)
"""What is read to see what the token may read. What it may write only a write could tell."""
ANY = {"query": {"field": "created_at", "operator": ">", "value": 0}, "pagination": {"per_page": 1}}
PAGED = frozenset({"conversations", "contacts", "companies"})
EXTRAS = {"rich": "cli", "shtab": "cli", "orjson": "fast", "uvicorn": "sandbox", "psycopg": "postgres"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `state`: ok, look (it works, but) or BAD."""

    state: str
    what: str
    told: str


def doctor(given: argparse.Namespace) -> int:
    """0 when all is well, 3 when something is not."""
    screen, found = Screen(given), []
    for finding in _findings(given):
        found.append(finding)
        screen.show(*wrapped(finding.told, first=f"{finding.state:<5}{finding.what:<14}", rest=" " * 19))
    bad = [finding for finding in found if finding.state == BAD]
    screen.show("", _whole(found))
    code = Exit.HALTED if bad else Exit.DONE
    screen.give(
        {"findings": [{"state": one.state, "what": one.what, "told": one.told} for one in found], "exit": int(code)}
    )
    return code


def _whole(found: Sequence[Finding]) -> str:
    if bad := sum(finding.state == BAD for finding in found):
        return f"{bad} not well."
    if any(finding.state == ODD for finding in found):
        return f"Look at the lines marked {ODD!r}: what they name may matter to you, the rest is well."
    return "All is well."


def _findings(given: argparse.Namespace) -> Iterator[Finding]:
    yield _software()
    yield from _records()
    try:
        chosen = settings(given)
    except SettingsError as error:
        yield Finding(BAD, "token", str(error))
        return
    from intercom_bulk.workspace import Workspace

    workspace = Workspace(chosen)
    try:
        yield from _connection(workspace, chosen)
    finally:
        workspace.close()


def _software() -> Finding:
    from importlib.metadata import version

    has = sorted({extra for module, extra in EXTRAS.items() if find_spec(module) is not None})
    told = f"intercom-bulk {version('intercom-bulk')}, Python {platform.python_version()}"
    return Finding(WELL, "software", f"{told}, extras: {', '.join(has) or 'none'}")


def _connection(workspace: Workspace, chosen: Settings) -> Iterator[Finding]:
    try:
        workspace.begin()
    except Unauthorized as error:
        yield Finding(BAD, "token", f"Intercom refuses it: {error}")
        return
    except RateLimited as error:
        yield Finding(BAD, "limit", str(error))
        return
    except IntercomBulkError as error:
        yield Finding(BAD, "connection", f"{urlsplit(chosen.base_url).hostname} does not answer as it should: {error}")
        return
    me = workspace.directory.me()
    app: dict[str, Any] = me.get("app") or {}
    yield Finding(WELL, "token", f"opens {app.get('name') or app.get('id_code')} as {me.get('name')} ({me.get('id')})")
    if chosen.admin_id is not None:
        yield from _admin(workspace, chosen.admin_id)
    yield _region(app, chosen)
    yield Finding(WELL, "version", f"speaks Intercom-Version {chosen.api_version}, whatever the app is set to")
    yield _clock(workspace)
    yield from _scopes(workspace)
    yield _limit(workspace)


def _region(app: dict[str, Any], chosen: Settings) -> Finding:
    region, host = str(app.get("region") or "").lower(), urlsplit(chosen.base_url).hostname
    expected = REGIONS.get(region)
    if chosen.base_url not in REGIONS.values() or expected is None:
        return Finding(WELL, "region", f"{region or 'not told'}, reached at {host}")
    if expected == chosen.base_url:
        return Finding(WELL, "region", f"{region}, reached at {host}")
    return Finding(ODD, "region", f"the workspace lives in {region}, and you ask {host}: set INTERCOM_REGION={region}")


def _clock(workspace: Workspace) -> Finding:
    """Nothing here depends on this machine's clock, but times in records and --until do."""
    off = workspace.now() - workspace.clock.time()
    if abs(off) < SKEW:
        return Finding(WELL, "clock", "agrees with Intercom's")
    way = "behind" if off > 0 else "ahead of"
    return Finding(ODD, "clock", f"is {abs(off):.0f} seconds {way} Intercom's: times that you give are off by that")


def _admin(workspace: Workspace, admin_id: str) -> Iterator[Finding]:
    """Who is acted as. Whether the teammates can be listed is told below."""
    try:
        name = workspace.directory.name("admin", admin_id)
    except IntercomBulkError:
        return
    if name is None:
        told = f"INTERCOM_ADMIN_ID is {admin_id}, and no teammate has that id: leave it out, or give another"
        yield Finding(BAD, "admin", told)
    else:
        yield Finding(WELL, "admin", f"acts as {name} ({admin_id}), by INTERCOM_ADMIN_ID")


def _scopes(workspace: Workspace) -> Iterator[Finding]:
    """One line for each name: what is not well with it, if anything is not."""
    found: dict[str, Finding] = {}
    for name, method, path in SCOPES:
        if found.get(name, _UNSEEN).state == WELL:
            found[name] = _scope(workspace, name, method, path)
    yield from found.values()


_UNSEEN = Finding(WELL, "", "")


def _scope(workspace: Workspace, name: str, method: str, path: str) -> Finding:
    try:
        send = partial(workspace.client.send, method, path)
        few = {"json": ANY} if method == "POST" else {"params": {"per_page": 1}} if name in PAGED else {}
        workspace.reads.call(partial(send, **few), resend=True)
    except Unauthorized:
        return Finding(
            ODD, name, "the token may not read them: give it the permission in the Developer Hub, or do without"
        )
    except ApiError as error:
        return Finding(BAD, name, str(error))
    return Finding(WELL, name, "can be read")


def _limit(workspace: Workspace) -> Finding:
    budget = workspace.governor.budget()
    if not budget.limit:
        return Finding(ODD, "limit", "Intercom does not say it: a safe rate is found by trying")
    used = f", {budget.used:.0%} of this window is used" if budget.used is not None else ""
    rate = budget.limit / 10
    return Finding(WELL, "limit", f"{budget.limit:,} calls in ten seconds ({rate:.0f} a second){used}")


# -- what is kept here


def _records() -> Iterator[Finding]:
    try:
        home, url = Settings.home_from_env()
    except SettingsError as error:
        yield Finding(BAD, "records", str(error))
        return
    yield from _checked("records", lambda: _runs("a database" if url is not None else str(home)))
    if url is None:
        yield from _checked("disk", lambda: _room(home))


def _checked(what: str, look: Callable[[], Finding]) -> Iterator[Finding]:
    try:
        yield look()
    except (IntercomBulkError, OSError) as error:
        yield Finding(BAD, what, str(error))


def _runs(where: str) -> Finding:
    """Whether each of them can be read, and which can be gone on with."""
    from intercom_bulk.updaters.history import Runs

    runs = Runs()
    records = runs.list()
    resumable = [record for record in records if record.is_resumable]
    for record in resumable:
        runs.get(record.run_id)
    told = f"{len(records):,} runs in {where}"
    if damaged := runs.damaged():
        return Finding(BAD, "records", f"{told}; {len(damaged):,} cannot be read: {', '.join(damaged[:3])}")
    if resumable:
        return Finding(
            ODD, "records", f"{told}; {len(resumable):,} can be gone on with: intercom-bulk runs list --resumable"
        )
    return Finding(WELL, "records", told)


def _room(home: Any) -> Finding:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    told = f"{free / 1e9:,.1f} GB free under {there}"
    return Finding(WELL if free > ROOM else BAD, "disk", told)
