"""The rate limit: windows, headers, the 429, the co-tenant."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.sandbox import SandboxOptions
from intercom_bulk.sandbox.limiter import Limiter

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client

Start = Callable[..., "Client"]
T0 = 1_790_000_000.0


def limiter(now: float = T0, **knobs: object) -> Limiter:
    return Limiter(SandboxOptions().with_knobs(**knobs), now)


def headers(of: Limiter, now: float) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in of.take(now)[1]}


@pytest.mark.parametrize(("per_minute", "window"), [(10_000, 1667), (25_000, 4167), (500, 83), (1_000, 167)])
def test_the_limit_of_a_window_is_a_sixth_rounded_to_the_nearest(per_minute: int, window: int) -> None:
    assert limiter(limit_per_minute=per_minute).limit == window


def test_windows_begin_at_multiples_of_ten_seconds_and_reset_is_their_end() -> None:
    made = limiter(T0 + 3, limit_per_minute=18)
    assert headers(made, T0 + 3.2)["x-ratelimit-reset"] == T0 + 10
    assert headers(made, T0 + 9.99)["x-ratelimit-remaining"] == 2
    assert headers(made, T0 + 10)["x-ratelimit-remaining"] == 3
    assert [window.start for window in made.windows] == [T0, T0 + 10]


def test_a_phase_shifts_the_windows() -> None:
    assert headers(limiter(T0 + 3, window_phase=2.0), T0 + 3)["x-ratelimit-reset"] == T0 + 12


def test_remaining_counts_before_or_after_the_call_by_switch() -> None:
    assert headers(limiter(), T0)["x-ratelimit-remaining"] == 1667
    assert headers(limiter(remaining_before=False), T0)["x-ratelimit-remaining"] == 1666


def test_rejected_calls_are_counted_apart() -> None:
    made = limiter(limit_per_minute=18)
    assert [made.take(T0)[0] for _ in range(5)] == [True, True, True, False, False]
    window = made.windows[0]
    assert (window.ours_accepted, window.ours_rejected, window.used) == (3, 2, 3)


def test_a_limit_cut_in_mid_window_holds_at_once() -> None:
    made = limiter(limit_per_minute=600, limit_change_at=2.0, limit_change_to=120)
    assert headers(made, T0)["x-ratelimit-limit"] == 100
    for _ in range(30):
        made.take(T0 + 1)
    assert headers(made, T0 + 2) == {
        "x-ratelimit-limit": 20,
        "x-ratelimit-remaining": 0,
        "x-ratelimit-reset": int(T0 + 10),
    }


@pytest.mark.parametrize("bursts", [False, True])
def test_the_cotenant_takes_its_share_and_counts_its_own_rejections(bursts: bool) -> None:
    made = limiter(cotenant_share=0.3, cotenant_bursts=bursts)
    made.advance(T0 + 100)
    full = made.windows[:10]
    assert 0.27 < sum(window.theirs_accepted for window in full) / 16_670 < 0.33
    made = limiter(cotenant_share=0.3, cotenant_bursts=bursts)
    for _ in range(1667):
        made.take(T0)
    made.advance(T0 + 10)
    assert made.windows[0].theirs_rejected > 400
    assert made.windows[0].used == 1667


def test_the_429_says_what_intercom_says(start: Start) -> None:
    client = start(limit_per_minute=18, retry_after=True)
    answers = _in_one_window(client, 5)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    refused = answers[3]
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert 1 <= int(refused.headers["Retry-After"]) <= 10
    assert refused.json()["errors"] == [
        {"code": "rate_limit_exceeded", "message": "Exceeded rate limit of 3 in 10_seconds"}
    ]


def _in_one_window(client: Client, count: int) -> list[Any]:
    while time.time() % 10 > 9:
        time.sleep(0.05)
    return [client("GET", "/me") for _ in range(count)]


def test_headers_describe_the_window_but_not_for_a_wrong_token(start: Start) -> None:
    client = start()
    answer = client("GET", "/me")
    date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert 0 < int(answer.headers["X-RateLimit-Reset"]) - date <= 10
    refused = client("GET", "/me", headers={"Authorization": "Bearer wrong"})
    assert refused.status_code == 401
    assert refused.json()["errors"][0]["code"] == "unauthorized"
    assert "X-RateLimit-Limit" not in refused.headers
    client.sandbox.set(rate_headers=False)
    assert "X-RateLimit-Limit" not in client("GET", "/me").headers


def test_a_skewed_clock_shows_in_date_and_reset(start: Start) -> None:
    answer = start(clock_skew=-3600.0)("GET", "/me")
    date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert abs(time.time() - 3600 - date) < 3
    assert 0 < int(answer.headers["X-RateLimit-Reset"]) - date <= 10


def test_control_endpoints_cost_nothing_and_need_the_token(start: Start) -> None:
    client = start(limit_per_minute=18)
    for _ in range(10):
        assert client("GET", "/sandbox/windows").status_code == 200
    assert sum(window["ours_accepted"] for window in client("GET", "/sandbox/windows").json()) == 0
    assert client("GET", "/sandbox/effects", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client("POST", "/sandbox/options", json={"limit_per_minute": 60}).status_code == 200
    assert client("GET", "/me").headers["X-RateLimit-Limit"] == "10"
    assert client("POST", "/sandbox/options", json={"no_such_knob": 1}).status_code == 400


def test_a_scheduled_cut_outlives_a_change_of_other_knobs() -> None:
    made = limiter(limit_per_minute=600, limit_change_at=2.0, limit_change_to=120)
    made.take(T0)
    made.take(T0 + 3)
    made.set_options(made.options.with_knobs(resets=0.1), T0 + 4)
    assert headers(made, T0 + 5)["x-ratelimit-limit"] == 20
    assert made.windows[0].record()["limit_at_start"] == 100
