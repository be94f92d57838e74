"""Every snippet and every command of the documents, run as they are printed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import pytest
import requests
from dotenv import dotenv_values

import intercom_bulk
from intercom_bulk import IntercomBulkUpdater, RunOptions, RunState, Settings, SettingsError, Status
from tests.docs.conftest import ROOT, Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

pytestmark = pytest.mark.slow

DOCUMENTS = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
WALK = "docs/what-happened.md"
"""Its blocks follow one another: see test_walk."""
WRITERS = ("bulk_process(", "bulk_close", ".apply(", ".start(", ".stream(")
SMALL = ("--conversations", "30", "--latency-ms", "2")


@dataclass(frozen=True)
class Snippet:
    """One fenced block, with the place it came from."""

    document: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


def snippets() -> Iterator[Snippet]:
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        for block in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            yield Snippet(document, text.count("\n", 0, block.start(2)) + 1, block[1], block[2])


def migrated(diff: str) -> str:
    """What a diff leaves behind."""
    return "\n".join(line[1:] for line in diff.splitlines() if not line.startswith("-"))


SNIPPETS = list(snippets())
APART = {f"docs/{page}.md" for page in ("cookbook", "insights", "mirror", "pipeline", "runbook", "service")}
"""Their blocks have pages of tests of their own: test_cookbook, test_insights_page, test_runbook ..."""
ALONE = [s for s in SNIPPETS if s.document not in APART | {WALK}]
PROGRAMS = [s for s in ALONE if s.language in {"python", "diff"} and "def test_" not in s.text]
TESTS = [s for s in SNIPPETS if s.language == "python" and "def test_" in s.text]
COMMANDS = [
    pytest.param(line.partition("#")[0].strip(), id=f"{s.document}: {line}")
    for s in SNIPPETS
    if s.language == "bash" and s.document not in APART
    for line in s.text.splitlines()
]


@pytest.mark.parametrize("snippet", PROGRAMS, ids=lambda snippet: snippet.place)
def test_a_program_runs_and_does_once_what_it_says(
    snippet: Snippet, run: Run, workspace: Sandbox, tmp_path: Path
) -> None:
    program = tmp_path / "snippet.py"
    program.write_text(migrated(snippet.text) if snippet.language == "diff" else snippet.text)
    ended = run(program)
    assert ended.returncode == 0, ended.stderr
    effects = workspace.effects()
    each = 2 if ".undo()" in snippet.text else 1
    writes = any(word in snippet.text for word in WRITERS) and "dry_run=True" not in snippet.text
    assert set(effects.values()) == ({each} if writes else set())
    limit = re.search(r"max_(?:items|conversations)=(\d+)", snippet.text)
    assert limit is None or len(effects) == int(limit[1])


@pytest.mark.parametrize("snippet", TESTS, ids=lambda snippet: snippet.place)
def test_a_test_passes(snippet: Snippet, run: Run, environment: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "test_snippet.py"
    program.write_text(snippet.text)
    plain = {**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = run("-m", "pytest", "-q", "-p", "no:cacheprovider", program, env=plain)
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_works(
    command: str, run: Run, workspace: Sandbox, environment: dict[str, str], tmp_path: Path
) -> None:
    words = shlex.split(command)
    if "intercom-bulk" in words:
        by_hand(words, command, workspace, environment, tmp_path)
    elif words[:2] == ["pip", "install"]:
        assert re.fullmatch(r"intercom-bulk\[(cli)\]", words[2])
    elif words[0] == "mkdir":
        assert words[1] == "-p"
    elif words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
    elif words[0] == "cp":
        shutil.copy(ROOT / ".env.example", tmp_path)
        subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
        assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    elif words[1].startswith("examples/"):
        ended = run(ROOT / words[1], *words[2:], *(SMALL if "--sandbox" in words else ()))
        assert ended.returncode == 0, ended.stderr
        assert ("60 done" in ended.stdout) == ("--apply" in words and "--sandbox" not in words)
        assert set(workspace.effects().values()) == ({1} if "--apply" in words and "--sandbox" not in words else set())
    elif "--help" in words:
        assert "--latency-ms" in run(*words[1:]).stdout
    else:
        assert words[:3] == [".venv/bin/python", "-m", "intercom_bulk.sandbox"], "a command that no test knows"
        serves_what_it_prints(words[1:], environment)


def by_hand(words: list[str], command: str, workspace: Sandbox, environment: dict[str, str], folder: Path) -> None:
    """What is typed at a shell, where nobody can be asked: nothing is written without --yes."""
    if words[:2] == ["intercom-bulk", "sandbox"]:
        serves_what_it_prints(["-m", "intercom_bulk", *words[1:]], environment)
        return
    (folder / "bin").mkdir()
    program = folder / "bin" / "intercom-bulk"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m intercom_bulk "$@"\n')
    program.chmod(0o755)
    ids = sorted(workspace.states("contacts"))[:3]
    (folder / "customers.csv").write_text("name,contact_id\n" + "".join(f"somebody,{one}\n" for one in ids))
    where = {**environment, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(folder)}
    (folder / ".local/share/bash-completion/completions").mkdir(parents=True)
    if "last" in words:
        subprocess.run([program, "read", "--all", "--max", "3", "--yes"], cwd=folder, env=where, check=True)
        workspace.reset()
    ended = subprocess.run(["bash", "-c", command], cwd=folder, env=where, capture_output=True, text=True, check=False)
    asks = not {"preview", "query", "runs", "completion", "doctor", "--yes", "--help", "--version"} & set(words)
    over = ("runs" in words and words[2] in {"pause", "stop", "resume", "undo"}) or "--failed-of" in words
    assert ended.returncode == (2 if asks or over else 0), ended.stdout + ended.stderr
    assert bool(workspace.effects()) == ("--yes" in words)


def serves_what_it_prints(arguments: list[str], environment: dict[str, str]) -> None:
    """Start the sandbox, use what it tells to export, stop it."""
    with subprocess.Popen([sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            printed = [next(server.stdout) for _ in range(5)]
            exported = dict(line.removeprefix("export ").strip().split("=", 1) for line in printed[1:])
            bearer = {"Authorization": f"Bearer {exported['INTERCOM_ACCESS_TOKEN']}"}
            assert requests.get(f"{exported['INTERCOM_BASE_URL']}/sandbox/stats", headers=bearer, timeout=5).ok
        finally:
            server.terminate()
        assert server.wait(10) == 0


def test_links_lead_to_files_that_exist() -> None:
    for document in (*DOCUMENTS, "CHANGELOG.md"):
        page = ROOT / document
        for link, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", page.read_text()):
            there = page.parent / link if link else page
            assert link.startswith("https://") or there.exists(), (document, link)
            assert not anchor or anchor in anchors(there), (document, link, anchor)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_reference_names_every_option_status_state_and_code() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    options = [field.name for field in fields(RunOptions)]
    sources = (path.read_text() for path in (ROOT / "intercom_bulk").rglob("*.py"))
    skipped = {code for source in sources for codes in SKIPPED.findall(source) for code in codes if code}
    assert {"moved", "changed_since", "filtered", "held_out", "in_doubt", "gone"} <= skipped
    missing = [name for name in (*options, *Status, *RunState, *skipped) if f"`{name}`" not in reference]
    assert not missing


SKIPPED = re.compile(
    r"(?:LeftAlone|ChangedSince|Gone)\([^\n]*code=\"(\w+)\"|skip=\(\"(\w+)\"|^    code = \"(\w+)\"", re.MULTILINE
)


def test_the_readme_names_every_updater() -> None:
    readme = (ROOT / "README.md").read_text()
    names = (name for name in intercom_bulk.__all__ if isinstance(getattr(intercom_bulk, name), type))
    updaters = [name for name in names if issubclass(getattr(intercom_bulk, name), IntercomBulkUpdater)]
    assert [name for name in updaters if f"`{name}`" not in readme and name != "IntercomBulkUpdater"] == []


def test_each_variable_of_the_example_file_is_explained_and_arrives() -> None:
    reference, example = ((ROOT / name).read_text() for name in ("docs/reference.md", ".env.example"))
    names = set(re.findall(r"^(?:# )?(INTERCOM_\w+)=", example, re.MULTILINE))
    assert names == set(re.findall(r"^\| `(INTERCOM_\w+)`", reference, re.MULTILINE))
    given = dict.fromkeys(names, "12345678") | {
        "INTERCOM_REGION": "eu",
        "INTERCOM_BASE_URL": "https://example.com/v",
        "INTERCOM_API_VERSION": "2.15",
        "INTERCOM_SYNC_WORKERS": "20",
        "INTERCOM_SYNC_STRATEGY": "contacts",
    }
    settings = Settings.build(env=given)
    assert (settings.sync_workers, settings.sync_strategy) == (20, "contacts")
    assert (settings.access_token, settings.admin_id, settings.inbox_id) == ("12345678",) * 3
    assert (settings.base_url, settings.api_version) == ("https://example.com/v", "2.15")
    assert settings.home.name == "12345678"
    assert "eu" in Settings.build(env=given | {"INTERCOM_BASE_URL": ""}).base_url


def test_the_example_file_holds_no_token() -> None:
    values = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example").items()}
    with pytest.raises(SettingsError, match="No access token"):
        Settings.build(env=values)


def test_the_changelog_knows_this_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"\n## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
