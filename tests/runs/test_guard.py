"""When a run must not go on."""

from __future__ import annotations

from intercom_bulk.runs.guard import Guard
from intercom_bulk.runs.model import Outcome, Status

DONE = Outcome("1", Status.DONE, attempts=1)
GONE = Outcome("1", Status.SKIPPED, "gone", "not there", 1)


def failed(code: str = "bad", *, target: bool = False) -> Outcome:
    return Outcome("1", Status.FAILED, code, "because", 1, target=target)


def first_halt(guard: Guard, outcomes: list[Outcome]) -> tuple[int, str] | None:
    for number, outcome in enumerate(outcomes, start=1):
        reason = guard.observe(outcome)
        if reason is not None:
            return number, reason
    return None


def test_three_failures_among_the_canaries_halt_at_the_third() -> None:
    halt = first_halt(Guard(10), [DONE, failed(), DONE, failed(), failed()])
    assert halt == (5, "3 of the first 5 items failed, the last one with bad: because")


def test_two_failures_among_the_canaries_do_not() -> None:
    assert first_halt(Guard(10), [failed(), failed(), *[DONE] * 8, failed()]) is None


def test_canaries_that_are_all_gone_halt() -> None:
    halt = first_halt(Guard(5), [GONE] * 5)
    assert halt is not None
    assert halt[0] == 5


def test_twenty_of_twenty_five_with_one_code_halt() -> None:
    halt = first_halt(Guard(0), [*[DONE] * 100, *[failed("a"), failed("a"), failed("a"), failed("a"), DONE] * 5])
    assert halt is not None
    assert halt[0] == 100 + 24


def test_different_codes_are_not_one_cause() -> None:
    assert first_halt(Guard(0), [failed(str(n)) for n in range(25)]) is None


def test_half_of_the_last_thousand_halts() -> None:
    halt = first_halt(Guard(0), [outcome for n in range(1000) for outcome in (DONE, failed(str(n)))])
    assert halt is not None
    assert halt[0] == 1000


def test_ten_gone_in_a_row_halt_and_nine_do_not() -> None:
    assert first_halt(Guard(0), [DONE, *[GONE] * 9, DONE, *[GONE] * 9]) is None
    halt = first_halt(Guard(0), [DONE, *[GONE] * 10])
    assert halt is not None
    assert halt[0] == 11


def test_three_missing_targets_in_a_row_halt() -> None:
    assert first_halt(Guard(0), [failed(target=True), failed(target=True), DONE, failed(target=True)]) is None
    assert first_halt(Guard(0), [DONE, *[failed("tag_not_found", target=True)] * 3]) is not None


def test_skips_that_are_not_gone_are_harmless() -> None:
    assert first_halt(Guard(10), [Outcome("1", Status.SKIPPED, "already_done", attempts=1)] * 2000) is None
