"""Each job of the cookbook, done from the terminal and in Python on twin workspaces, which must end up alike."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.sandbox import Sandbox
from tests.docs.conftest import ROOT, Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

KINDS = ("conversations", "contacts", "companies", "tickets")
PAGE = ROOT / "docs" / "cookbook.md"


@dataclass(frozen=True)
class Job:
    """One section of the page. `files` are spreadsheets of contacts that it is about."""

    name: str
    commands: tuple[str, ...]
    program: str
    files: tuple[str, ...]


def jobs() -> Iterator[Job]:
    for section in PAGE.read_text().split("\n## ")[1:]:
        blocks = dict(re.findall(r"^```(bash|python)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
        files = tuple(re.findall(r"^<!-- ids of contacts: (\S+) -->$", section, re.MULTILINE))
        yield Job(section.partition("\n")[0], tuple(blocks["bash"].splitlines()), blocks["python"], files)


States = dict[tuple[str, str], dict[str, Any]]
JOBS = list(jobs())


@pytest.fixture(scope="module")
def busy() -> Iterator[Sandbox]:
    """A workspace of which each job finds its share."""
    with Sandbox(
        conversations=240, contacts=60, companies=40, tickets=40, limit_per_minute=300_000,
        share_closed=0.2, share_snoozed=0.2, share_other_team=0.3, share_tagged=0.5, share_assigned=0.3,
    ) as sandbox:  # fmt: skip
        yield sandbox


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_terminal_and_python_do_the_same_to_a_workspace(
    job: Job, busy: Sandbox, run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    where = {**environment, **busy.environ()}
    fresh = renewed(job, busy, tmp_path)
    for command in job.commands:
        ended = run("-m", *words_of(command), env=where)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    by_terminal, effects = changes(fresh, everything(busy)), busy_with(busy)
    assert any(effects.values()), "the job found nothing to do"

    fresh = renewed(job, busy, tmp_path)
    (tmp_path / "job.py").write_text(job.program)
    ended = run("job.py", env=where)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert busy_with(busy) == effects
    assert changes(fresh, everything(busy)) == by_terminal
    assert "undo" not in job.program or by_terminal == {}


def renewed(job: Job, workspace: Sandbox, folder: Path) -> States:
    """The workspace as it was, and the spreadsheets that the job is about."""
    workspace.reset()
    spreadsheets(job, workspace, folder)
    return everything(workspace)


def everything(workspace: Sandbox) -> States:
    return {(kind, one): state for kind in KINDS for one, state in workspace.states(kind).items()}


def changes(before: States, after: States) -> States:
    """What each item that changed is now, as far as it changed; nothing, where it is no more."""
    different = {one: after.get(one, {}) for one, was in before.items() if was != after.get(one)}
    return {one: {k: v for k, v in now.items() if v != before[one].get(k)} for one, now in different.items()}


def busy_with(workspace: Sandbox) -> dict[str, dict[str, int]]:
    """How often each item was changed."""
    return {kind: workspace.effects(kind) for kind in KINDS}


def words_of(command: str) -> list[str]:
    words = shlex.split(command)
    assert words[0] == "intercom-bulk", command
    return ["intercom_bulk", *words[1:]]


def spreadsheets(job: Job, workspace: Sandbox, folder: Path) -> None:
    """What Sales sends: some ids, one twice, a blank row, and one of nobody."""
    ids = sorted(workspace.states("contacts"))[:8]
    for name in job.files:
        rows = [*ids, ids[0], "", "6762f14a00000000ffffffff"]
        (folder / name).write_text("name,contact_id\n" + "".join(f"somebody,{one}\n" for one in rows))


def test_there_are_a_dozen_jobs_and_more() -> None:
    assert len(JOBS) >= 12


def test_the_page_lists_its_jobs() -> None:
    listed = re.findall(r"\]\(#([\w-]+)\)", PAGE.read_text().partition("\n## ")[0])
    assert listed == [job.name.lower().replace(" ", "-") for job in JOBS]
