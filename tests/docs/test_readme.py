"""Every snippet and every command of the README and of CONTRIBUTING, run as they are printed."""

from __future__ import annotations

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

from intercom_bulk import RunOptions, RunState, Settings, SettingsError, Status
from tests.docs.conftest import ROOT, Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

DOCUMENTS = ("README.md", "CONTRIBUTING.md")
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
PROGRAMS = [s for s in SNIPPETS if s.language in {"python", "diff"} and "def test_" not in s.text]
TESTS = [s for s in SNIPPETS if s.language == "python" and "def test_" in s.text]
COMMANDS = [
    pytest.param(line.partition("#")[0].strip(), id=f"{s.document}: {line}")
    for s in SNIPPETS
    if s.language == "bash"
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
    assert set(effects.values()) == (set() if "dry_run=True" in snippet.text else {1})
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
    if words[0] == "make":
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
        for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text()):
            assert link.startswith("https://") or (ROOT / link).exists(), (document, link)


def test_the_readme_names_every_option_status_state_and_updater() -> None:
    readme = (ROOT / "README.md").read_text()
    options = [field.name for field in fields(RunOptions)]
    statuses = [Status.DONE, Status.SKIPPED, Status.FAILED, Status.NEEDS_REVIEW]
    states = set(RunState) - {RunState.RUNNING}
    missing = [name for name in (*options, *statuses, *states) if f"`{name}`" not in readme]
    assert not missing


def test_each_variable_of_the_example_file_is_explained_and_arrives() -> None:
    readme, example = ((ROOT / name).read_text() for name in ("README.md", ".env.example"))
    names = set(re.findall(r"^(?:# )?(INTERCOM_\w+)=", example, re.MULTILINE)) - {"INTERCOM_BULK_HOME"}
    assert names == set(re.findall(r"^\| `(INTERCOM_\w+)`", readme, re.MULTILINE))
    given = dict.fromkeys(names, "12345678") | {
        "INTERCOM_REGION": "eu",
        "INTERCOM_BASE_URL": "https://example.com/v",
        "INTERCOM_API_VERSION": "2.15",
    }
    settings = Settings.build(env=given)
    assert (settings.access_token, settings.admin_id, settings.inbox_id) == ("12345678",) * 3
    assert (settings.base_url, settings.api_version) == ("https://example.com/v", "2.15")
    assert "eu" in Settings.build(env=given | {"INTERCOM_BASE_URL": ""}).base_url


def test_the_example_file_holds_no_token() -> None:
    values = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example").items()}
    with pytest.raises(SettingsError, match="No access token"):
        Settings.build(env=values)


def test_the_changelog_knows_this_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"\n## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
