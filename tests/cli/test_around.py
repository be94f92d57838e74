"""What is around the operations: trying a search, the doctor, rehearsals, completion, and doing without the extras."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.cli import completion
from intercom_bulk.cli.parser import make_parser
from intercom_bulk.sandbox import SandboxOptions
from intercom_bulk.sandbox.knobs import SENTENCES

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox
    from tests.cli.conftest import Cli


# -- query


def test_a_search_is_explained_with_what_is_sent_and_what_is_filtered_here(cli: Cli) -> None:
    ended = cli("query", "explain", "state:open team:Support updated<30d")
    assert ended.code == 0
    assert "Sent to Intercom:" in ended.out
    assert "Filtered here" in ended.out
    assert [line for line in ended.out.splitlines() if len(line) > 80] == []
    assert cli("query", "explain", "state:open", "--json").json["query"]["field"] == "state"


def test_what_a_search_finds_is_counted(cli: Cli) -> None:
    assert cli("query", "count", "state:open").out == "28 conversations\n"
    assert cli("query", "count", "name!=nobody", "--on", "companies", "--json").json["count"] == 6
    assert cli("query", "count", "role:user", "--on", "contacts").out.endswith(" contacts\n")
    assert cli("query", "count", "open:true", "--on", "tickets").out == "10 tickets\n"


def test_some_of_what_a_search_finds_is_shown(cli: Cli) -> None:
    told = cli("query", "sample", "state:open", "-n", 3).out.splitlines()
    assert len(told) == 3
    assert all("open" in line and "question" in line for line in told)
    assert len(cli("query", "sample", "state:open", "-n", 3, "--json").json["items"]) == 3
    unquoted = cli("query", "sample", "state:open", "team:Support", "-n", 3)
    assert unquoted.out == cli("query", "sample", "state:open team:Support", "-n", 3).out
    assert "Nothing is found." in cli("query", "sample", "state:snoozed").err


def test_a_search_that_cannot_be_meant_is_one_sentence(cli: Cli) -> None:
    ended = cli("query", "count", "stat:open")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 2


# -- doctor


def test_the_doctor_finds_all_well(cli: Cli, sandbox: Sandbox) -> None:
    ended = cli("doctor")
    assert ended.code == 0, ended.out
    assert "All is well." in ended.out
    for what in ("token", "region", "version", "clock", "limit", "records", "disk", "conversations", "tickets"):
        assert f"\nok   {what} " in f"\n{ended.out}", what
    assert not sandbox.effects()


def test_the_doctor_says_what_is_not(cli: Cli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.set(denied=("/conversations/search",))
    told = {one["what"]: one["state"] for one in cli("doctor", "--json").json["findings"]}
    assert told["conversations"] == "look"
    sandbox.set(denied=("/contacts",))
    assert cli("doctor").out.splitlines()[-1].startswith("Look at the lines marked 'look'")
    told = {one["what"]: one["state"] for one in cli("doctor", "--json").json["findings"]}
    assert told["contacts"] == "look"
    sandbox.set(revoked=True)
    ended = cli("doctor")
    assert ended.code == 3
    assert "BAD  token" in ended.out
    monkeypatch.delenv("INTERCOM_ACCESS_TOKEN")
    assert "BAD  token" in cli("doctor").out


def test_the_doctor_knows_who_is_acted_as(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERCOM_ADMIN_ID", "780")
    assert "ok   admin         acts as Ann Archer (780)" in cli("doctor").out
    monkeypatch.setenv("INTERCOM_ADMIN_ID", "123456")
    ended = cli("doctor")
    assert (ended.code, "BAD  admin" in ended.out) == (3, True)


def test_the_doctor_sees_a_clock_that_is_off(cli: Cli, sandbox: Sandbox) -> None:
    sandbox.set(clock_skew=90.0)
    try:
        told = cli("doctor").out
    finally:
        sandbox.set(clock_skew=0.0)
    assert "look clock" in told


def test_the_doctor_sees_records_that_cannot_be_read(cli: Cli, home: Path) -> None:
    assert cli("close", "--where", "state:open", "--yes", "--max", 1).code == 0
    (path,) = home.glob("runs/2*.db")
    os.truncate(path, 100)
    ended = cli("doctor")
    assert ended.code == 3
    assert f"1 cannot be read: {path.stem}" in " ".join(ended.out.split())
    assert f"1 run cannot be read: {path.stem}" in cli("runs", "list").err


# -- rehearsals


def test_the_sandbox_has_a_sentence_for_each_knob(cli: Cli) -> None:
    assert set(SENTENCES) >= SandboxOptions.names()
    ended = cli("sandbox", "--help")
    assert ended.code == 0
    assert "usage: intercom-bulk sandbox" in ended.out


def test_the_sandbox_serves_until_it_is_asked_to_end() -> None:
    command = [sys.executable, "-m", "intercom_bulk", "sandbox", "--conversations", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Sandbox at http://127.0.0.1:")
        process.terminate()
        assert process.wait(20) == 0


def test_the_demo_closes_everything_once(cli: Cli) -> None:
    ended = cli("demo", "--conversations", 60, "--latency-ms", 1, "--search-latency-ms", 1)
    assert ended.code == 0, ended.out
    assert "60 closed once, 0 more than once, 0 still open" in ended.out
    assert "intercom-bulk preview close" in ended.out


# -- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(shell: str, cli: Cli) -> None:
    pytest.importorskip("shtab")
    ended = cli("completion", shell)
    assert ended.code == 0, ended.err
    assert all(word in ended.out for word in ("attach-company", "retry", "--exclude-recent", "completion"))


def test_the_bash_completion_is_a_script_that_bash_reads(cli: Cli) -> None:
    pytest.importorskip("shtab")
    script = cli("completion", "bash").out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_every_branch_of_the_tree_is_there_for_completion() -> None:
    whole = completion.whole(make_parser())
    assert "attach-company" in whole.branches["plan"].branches["contacts"].branches


# -- without the extras

WITHOUT = """
import sys
for name in ("rich", "rich_argparse", "shtab", "orjson"):
    sys.modules[name] = None
from intercom_bulk.cli import main
raise SystemExit(main())
"""


def test_it_works_with_the_core_packages_alone(sandbox: Sandbox) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, check=False, env=dict(os.environ)
        )

    assert run("--help").returncode == 0
    done = run("close", "--where", "state:open", "--yes")
    assert done.returncode == 0, done.stderr
    assert "28 done" in done.stdout
    assert "28/28" in done.stderr or "/28" in done.stderr
    missing = run("completion", "bash")
    assert missing.returncode == 2
    assert "pip install 'intercom-bulk[cli]'" in missing.stderr
