"""The token is in no log, repr, traceback, error or file. It is a canary: every text is searched for it."""

from __future__ import annotations

import copy
import logging
import pickle
import tempfile
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, IntercomBulkError, IntercomBulkUpdater, RunOptions, Settings, Status
from intercom_bulk.api.client import patience
from tests.acceptance.old_style import CustomUpdater, ResponseUpdater
from tests.acceptance.runs import QUICK, connection, hasty, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

CANARY = "CANARY-dG9rOjEyMzQ1Njc4OTAxMjM0NTY3ODkw"
TAIL = CANARY[8:]


def linked(error: BaseException) -> Iterator[BaseException]:
    """The error and every error that hangs on to it, in whichever way."""
    waiting, seen = [error], set[int]()
    while waiting:
        link = waiting.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        held = [link.__context__, link.__cause__, *link.args, *vars(link).values()]
        waiting.extend(other for other in held if isinstance(other, BaseException))


def reachable(value: object) -> Iterator[str]:
    """Texts that somebody who holds the value comes upon: strings, and what is in containers and attributes.

    Deep enough for error.request.headers._store["authorization"][1].
    """
    waiting, seen = [(value, 10)], set[int]()
    while waiting:
        held, depth = waiting.pop()
        if isinstance(held, str):
            yield held
        if isinstance(held, (str, bytes, int, float, type)) or not depth or id(held) in seen:
            continue
        seen.add(id(held))
        inner = list(held.values()) if isinstance(held, dict) else []
        inner += list(held) if isinstance(held, (list, tuple, set, frozenset)) else []
        inner += list(getattr(held, "__dict__", {}).values())
        waiting.extend((one, depth - 1) for one in inner)


def assert_clean(*texts: str) -> None:
    assert [text for text in texts if TAIL in text] == []


def assert_error_clean(error: BaseException) -> None:
    assert_clean("".join(traceback.format_exception(error)), repr(error))
    for link in linked(error):
        assert_clean(str(link), repr(link), *reachable(vars(link)), *reachable(link.args))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that any library logs from DEBUG up, formatted as people see it."""
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "requests", "intercom_bulk"):
        caplog.set_level(logging.DEBUG, logger=name)
    return lambda: caplog.text + "".join(repr(record.args) + repr(record.__dict__) for record in caplog.records)


@pytest.mark.parametrize("updater", [ConversationCloser, CustomUpdater])
def test_nothing_that_a_run_with_every_kind_of_trouble_says_holds_the_token(
    start: Start,
    log: Callable[[], str],
    updater: type[IntercomBulkUpdater],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sandbox = start(
        conversations=300, token=CANARY, errors_5xx=0.05, resets=0.03, cut_bodies=0.03, html_200=0.02, plain_429=0.01,
        poison_422=0.03, gone=0.02, hangs=0.01 if updater is ConversationCloser else 0.0,
    )  # fmt: skip
    state: dict[str, Any] = {"state": "open"} if updater is ConversationCloser else {}
    made = updater(settings=hasty(sandbox))
    found: list[str] = []

    def search_files(settled: int) -> None:
        if settled == 60:
            files = [path for path in tmp_path.rglob("*") if path.is_file()]
            found.extend(str(path) for path in files if TAIL.encode() in path.read_bytes())
            assert files

    options = RunOptions(settle=QUICK.settle, progress=lambda moment: found.extend(_with_token(repr(moment))))
    done = run(made, search_files, team_id=sandbox.inbox_id, timeout=0.5, options=options, **state)
    assert {outcome.status for outcome in done.outcomes} >= {Status.DONE, Status.FAILED, Status.SKIPPED}
    assert found == []
    assert "POST" in log()
    assert_clean(log(), repr(made), repr(done.summary), str(done.summary), repr(made.workspace))
    for outcome in done.outcomes:
        assert_clean(repr(outcome), *reachable(outcome), outcome.message or "", outcome.detail or "")


def _with_token(text: str) -> list[str]:
    return [text] if TAIL in text else []


@pytest.mark.parametrize(
    "knobs",
    [{"revoked": True}, {"denied": ["search"]}, {"ignore_sort": True}, {"repeat_cursor": 1}],
    ids=str,
)
def test_no_error_that_ends_a_run_holds_on_to_the_token(
    start: Start, log: Callable[[], str], knobs: dict[str, Any]
) -> None:
    sandbox = start(conversations=400, token=CANARY, **knobs)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    with pytest.raises(IntercomBulkError) as caught:
        run(closer, team_id=sandbox.inbox_id, state="open", dry_run=True)
    assert_error_clean(caught.value)
    assert_clean(log())


@pytest.mark.parametrize("trouble", ["resets", "cut_bodies", "cut_headers", "hangs", "errors_5xx", "plain_429"])
def test_no_error_of_a_request_holds_on_to_the_token(start: Start, log: Callable[[], str], trouble: str) -> None:
    """The exceptions of `requests` carry the request with its Authorization header."""
    sandbox = start(conversations=5, token=CANARY)
    closer = ConversationCloser(settings=hasty(sandbox), admin_id="780")
    sandbox.set(**{trouble: 1.0})
    with pytest.raises(IntercomBulkError) as caught, patience(0.3):
        closer.workspace.client.send("POST", "conversations/1/parts", json={"message_type": "close"})
    assert_error_clean(caught.value)
    assert_clean(log())


def test_no_error_of_a_connection_that_fails_holds_on_to_the_token(start: Start) -> None:
    sandbox = start(conversations=1, token=CANARY)
    closer = ConversationCloser(settings=hasty(sandbox))
    sandbox.stop()
    with pytest.raises(IntercomBulkError) as caught:
        closer.workspace.client.send("GET", "me")
    assert_error_clean(caught.value)


def test_what_is_shown_of_the_objects_does_not_hold_the_token(start: Start) -> None:
    sandbox = start(conversations=5, token=CANARY)
    updater = CustomUpdater(**sandbox.settings_kwargs())
    stream = updater.stream(team_id=sandbox.inbox_id)
    shown = [updater, updater.access_token, updater.headers, updater.workspace, updater.workspace.settings, stream]
    shown += [updater.workspace.client, updater.workspace.governor, updater.workspace.directory]
    assert_clean(*map(repr, shown), f"{updater.headers}", f"{updater.workspace.settings}", str(updater))
    assert_clean(repr(vars(updater)))
    stream.close()


def test_the_token_is_what_an_old_updater_writes_into_its_header(start: Start) -> None:
    updater = CustomUpdater(**connection(start(conversations=1, token=CANARY)))
    assert f"Bearer {updater.access_token}" == updater.headers["Authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize("freeze", [pickle.dumps, copy.deepcopy])
def test_a_token_is_not_pickled(freeze: Callable[[object], object]) -> None:
    settings = Settings.build(access_token=CANARY, env={})
    with pytest.raises(TypeError) as caught:
        freeze(settings)
    assert_clean(str(caught.value))


class Telltale(CustomUpdater):
    """An old subclass with bugs that speak of its headers and its token."""

    def perform_action(self, item_id: str, **kwargs: Any) -> Any:
        if item_id.endswith(("1", "2", "3")):
            raise KeyError(f"no such thing in {self.headers}")
        if item_id.endswith("4"):
            raise ValueError(f"the token {self.access_token} does not work")
        return super().perform_action(item_id, **kwargs)


def test_a_bug_of_a_subclass_that_prints_its_headers_does_not_print_the_token(
    start: Start, log: Callable[[], str]
) -> None:
    sandbox = start(conversations=60, token=CANARY)
    done = run(
        Telltale(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, options=RunOptions(settle=0.2, canary=0)
    )
    failed = [outcome for outcome in done.outcomes if outcome.status is Status.FAILED]
    assert {outcome.code for outcome in failed} == {"KeyError", "ValueError"}
    for outcome in failed:
        assert_clean(outcome.message or "", outcome.detail or "", repr(outcome))
    assert_clean(log(), str(done.summary.reason))


def test_an_updater_that_returns_its_response_leaves_no_token_in_an_outcome(start: Start) -> None:
    sandbox = start(conversations=60, token=CANARY, poison_422=0.1)
    done = run(ResponseUpdater(**sandbox.settings_kwargs()), team_id=sandbox.inbox_id, options=RunOptions(canary=0))
    assert any(outcome.status is Status.FAILED for outcome in done.outcomes)
    assert_clean(*map(repr, done.outcomes))


def test_a_malformed_token_is_not_repeated_in_the_error() -> None:
    with pytest.raises(IntercomBulkError) as caught:
        ConversationCloser(access_token=f"{CANARY} with a blank")
    assert_error_clean(caught.value)


def test_a_base_url_with_a_secret_in_it_is_not_repeated_in_the_error() -> None:
    with pytest.raises(IntercomBulkError) as caught:
        ConversationCloser(access_token=CANARY, base_url=f"https://me:{CANARY}@api.intercom.io")
    assert_error_clean(caught.value)
