"""What the pace promises, against a simulated window server in virtual time (see simulate.py)."""

from __future__ import annotations

from collections import Counter
from statistics import mean
from typing import Any

import pytest

from intercom_bulk.api.pace import Pace
from tests.pace.simulate import Client, Server, World, poisson


def alone(limit: int, seconds: float, *, latency: float = 0.25, seed: int = 1, **server: Any) -> World:
    return World(
        Server(lambda _: limit, **server),
        [Client(Pace())],
        seconds,
        latency=latency,
        seed=seed,
    ).run()


def refusals(world: World) -> int:
    return sum(len(c.refused) for c in world.clients)


@pytest.mark.parametrize(
    ("limit", "latency", "seconds"),
    [
        (83, 0.25, 300),
        (83, 0.5, 300),
        (167, 0.25, 200),
        (167, 0.5, 200),
        (1667, 0.25, 80),
        (1667, 0.5, 80),
        (4167, 0.25, 50),
    ],
)
def test_alone_every_full_window_is_used_and_nothing_refused(limit: int, latency: float, seconds: float) -> None:
    world = alone(limit, seconds, latency=latency)
    assert min(world.use()) >= 0.97
    assert refusals(world) == 0


@pytest.mark.parametrize("phase", [0.0, 2.5, 3.7, 9.9])
def test_the_phase_of_the_windows_does_not_matter(phase: float) -> None:
    world = alone(167, 200, phase=phase)
    assert min(world.use()) >= 0.97
    assert refusals(world) == 0


def test_600_items_at_83_a_window() -> None:
    world = World(Server(lambda _: 83), [Client(Pace(), jobs=600)], 120).run()
    assert min(world.use()) >= 0.97
    assert refusals(world) == 0


@pytest.mark.parametrize("skew", [10.0, -10.0, 3600.0, -3600.0])
def test_a_wrong_clock_changes_not_a_single_sending(skew: float) -> None:
    """Skews by whole windows leave the windows where they are, so the runs must be the same to the last call."""
    straight, skewed = alone(1667, 40), alone(1667, 40, skew=skew)
    assert straight.clients[0].sent == skewed.clients[0].sent


@pytest.mark.parametrize("skew", [3.0, -3.0, 3603.0])
def test_a_clock_three_seconds_off_is_as_good_as_one_that_is_right(skew: float) -> None:
    world = alone(1667, 60, skew=skew, phase=skew % 10.0)
    assert min(world.use()) >= 0.97
    assert refusals(world) == 0


@pytest.mark.parametrize(
    "quirk",
    [{"before_decrement": True}, {"refusals_count": True}],
)
@pytest.mark.parametrize("limit", [83, 1667])
def test_quirks_of_the_count(limit: int, quirk: dict[str, bool]) -> None:
    world = alone(limit, 100, **quirk)
    assert min(world.use()) >= 0.97
    assert refusals(world) == 0


@pytest.mark.parametrize(("limit", "seconds"), [(83, 600), (167, 400), (1667, 90)])
@pytest.mark.parametrize("latency", [0.25, 0.5])
def test_a_cotenant_finds_room(limit: int, seconds: float, latency: float) -> None:
    others = poisson(0.3 * limit / 10, seconds)
    worlds = [
        World(Server(lambda _: limit), [Client(Pace())], seconds, latency=latency, seed=seed, others=others).run()
        for seed in (1, 2)
    ]
    assert mean(u for w in worlds for u in w.use()) >= 0.95
    assert mean(w.refused_share() for w in worlds) <= 0.002
    assert sum(w.other_rejected for w in worlds) <= 0.03 * sum(w.other_calls for w in worlds)


@pytest.mark.parametrize("at", [31.0, 34.0, 38.0, 40.0])
def test_a_limit_cut_to_a_fifth(at: float) -> None:
    world = World(Server(lambda t: 1667 if t < at else 333), [Client(Pace(), jobs=10_000)], 130).run()
    assert world.refused_share() <= 0.005
    assert min(world.use()[-8:]) >= 0.97


@pytest.mark.parametrize("at", [31.0, 38.0])
def test_a_limit_raised_fivefold_is_used_from_the_next_window_on(at: float) -> None:
    world = World(Server(lambda t: 333 if t < at else 1667), [Client(Pace())], 80).run()
    assert world.refused_share() <= 0.005
    assert min(world.use()[-2:]) >= 0.97


@pytest.mark.parametrize("limit", [83, 167, 1667])
def test_without_headers_no_storm(limit: int) -> None:
    world = World(Server(lambda _: limit, headers_at=lambda _: False), [Client(Pace())], 300).run()
    assert world.refused_share() <= 0.03
    assert mean(world.use()) >= 0.65


def test_headers_that_vanish_for_a_minute() -> None:
    world = World(Server(lambda _: 167, headers_at=lambda t: not 40 < t < 100), [Client(Pace())], 200).run()
    assert world.refused_share() <= 0.002
    assert min(world.use()[-8:]) >= 0.97


def test_three_processes_that_do_not_know_of_each_other() -> None:
    worlds = [
        World(Server(lambda _: 167), [Client(Pace()) for _ in range(3)], 300, seed=seed).run() for seed in range(3)
    ]
    assert mean(u for w in worlds for u in w.use()) >= 0.97
    assert mean(w.refused_share() for w in worlds) <= 0.005


@pytest.mark.parametrize(("limit", "most"), [(1667, 1333), (83, 66), (167, 133)])
def test_share_is_a_hard_cap(limit: int, most: int) -> None:
    world = World(Server(lambda _: limit), [Client(Pace(share=0.8))], 100).run()
    used = [world.server.used[w] for w in world.full_windows()]
    assert max(used) <= most
    assert min(used) >= most - 2


def test_while_everything_is_refused_one_call_a_window_asks_and_the_reopening_is_even() -> None:
    world = World(Server(lambda _: 1667, refuse_all_at=lambda t: 30 < t < 90), [Client(Pace())], 140).run()
    client = world.clients[0]
    per_window = Counter(int(t // 10) for t in client.refused)
    assert all(per_window[w] <= 2 for w in range(4, 9))
    assert min(s for s, _ in client.accepted if s > 90) < 92
    assert max(Counter(int(t * 10) for t in client.sent if t > 85).values()) <= 50  # 3 x the even 16.7 per 100 ms


def test_another_limit_backs_off_and_recovers() -> None:
    world = World(Server(lambda _: 1667, other_limit_at=lambda t: 30 < t < 60), [Client(Pace())], 200).run()
    assert world.refused_share() <= 0.005
    assert world.use()[-1] >= 0.95
    assert world.use()[7] >= 0.2


def test_calls_lost_on_the_way() -> None:
    world = World(Server(lambda _: 1667), [Client(Pace(), lost_share=0.05)], 80).run()
    assert min(world.use()) >= 0.95
    assert refusals(world) == 0


@pytest.mark.parametrize(("limit", "cost"), [(167, 1), (167, 2)])
def test_calls_of_foreign_code_are_counted_and_their_cost_learned(limit: int, cost: int) -> None:
    world = World(Server(lambda _: limit), [Client(Pace(), blind=True, cost=cost)], 300).run()
    assert world.refused_share() <= 0.01
    assert mean(world.use()) >= 0.95


@pytest.mark.parametrize(("limit", "jobs", "most"), [(83, 35, 2.5), (1667, 300, 3.0), (1667, 600, 3.5)])
def test_a_small_job_is_not_spread(limit: int, jobs: int, most: float) -> None:
    world = World(Server(lambda _: limit), [Client(Pace(), jobs=jobs)], 60).run()
    assert world.clients[0].done_at <= most
    assert refusals(world) == 0


def test_after_a_sudden_stop_nothing_leaves_and_everything_reports() -> None:
    world = World(Server(lambda _: 1667), [Client(Pace(), stop_at=25.0)], 40).run()
    client = world.clients[0]
    assert max(client.sent) <= 25.0
    assert client.pace.budget(40.0).in_flight == 0


def test_peak_of_the_paced_sending() -> None:
    client = alone(1667, 60).clients[0]
    assert max(Counter(int(t * 10) for t in client.sent if t > 10).values()) <= 50
