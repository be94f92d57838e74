"""Many processes over one real file, in virtual time: together they must look like one governor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from intercom_bulk.api.leases import Leases
from intercom_bulk.api.pace import Pace
from tests.pace.simulate import Client, Server, World, poisson

if TYPE_CHECKING:
    from pathlib import Path


class Still:
    """A clock that tells of no other boot; the simulation hands in the time itself."""

    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("a lease does not sleep")


def sharing(path: Path, count: int) -> list[Client]:
    return [Client(Pace(), shared=Leases(path / "governor.db", "k", clock=Still())) for _ in range(count)]


def close(clients: list[Client]) -> None:
    for client in clients:
        if client.shared is not None:
            client.shared.close()


def got(world: World, client: Client) -> int:
    """Accepted calls of a client in the full windows."""
    full = set(world.full_windows())
    return sum(world.server.window(sent) in full for sent, _ in client.accepted)


@pytest.mark.parametrize("limit", [83, 167, 1667])
@pytest.mark.parametrize("count", [1, 2, 4, pytest.param(16, marks=pytest.mark.long)])
def test_together_they_use_the_limit_and_nothing_is_refused(tmp_path: Path, limit: int, count: int) -> None:
    clients = sharing(tmp_path, count)
    world = World(Server(lambda _: limit), clients, seconds=46.0, seed=count).run()
    close(clients)
    assert min(world.use()) >= (0.97 if count == 1 else 0.95)
    assert world.refused_share() <= 0.001
    even = sum(got(world, one) for one in clients) / count
    assert min(got(world, one) for one in clients) >= 0.5 * even
    assert max(one.tellings for one in clients) <= 46 * 12


@pytest.mark.parametrize("seed", range(4))
def test_what_a_modest_process_leaves_goes_to_the_others(tmp_path: Path, seed: int) -> None:
    clients = sharing(tmp_path, 3)
    clients[0].threads = 1  # four calls a second
    world = World(Server(lambda _: 1667), clients, seconds=46.0, seed=seed).run()
    close(clients)
    assert min(world.use()) >= 0.95
    assert world.refused_share() <= 0.001
    assert got(world, clients[0]) >= 0.75 * 10 / 0.285 * len(world.full_windows())


def test_many_modest_ones_hoard_nothing(tmp_path: Path) -> None:
    clients = sharing(tmp_path, 16)
    for client in clients[1:]:
        client.threads = 1
    world = World(Server(lambda _: 1667), clients, seconds=46.0).run()
    close(clients)
    assert min(world.use()) >= 0.97
    assert world.refused_share() <= 0.001


@pytest.mark.parametrize("limit", [167, 1667])
def test_the_part_of_one_that_dies_is_back_in_the_same_window(tmp_path: Path, limit: int) -> None:
    clients = sharing(tmp_path, 2)
    clients[1].stop_at = 23.0
    world = World(Server(lambda _: limit), clients, seconds=46.0).run()
    close(clients)
    assert min(world.use()) >= 0.95
    assert world.refused_share() <= 0.001


@pytest.mark.parametrize("limit", [167, 1667])
def test_one_that_comes_late_starts_with_knowledge_and_gets_its_part(tmp_path: Path, limit: int) -> None:
    clients = sharing(tmp_path, 3)
    clients[1].start_at, clients[2].start_at = 13.0, 19.5
    world = World(Server(lambda _: limit), clients, seconds=66.0).run()
    close(clients)
    assert min(world.use()) >= 0.95
    assert world.refused_share() <= 0.001
    last = [sum(sent >= 50.0 for sent in one.sent) for one in clients]
    assert min(last) >= 0.5 * sum(last) / 3


def test_a_cotenant_finds_room_beside_many(tmp_path: Path) -> None:
    clients = sharing(tmp_path, 4)
    world = World(Server(lambda _: 1667), clients, seconds=86.0, others=poisson(50.0, 86.0)).run()
    close(clients)
    use = world.use()[1:]
    assert sum(use) / len(use) >= 0.95
    assert world.refused_share() <= 0.002
    assert world.other_rejected <= 0.03 * world.other_calls


def test_a_clock_that_is_wrong_and_a_limit_that_is_cut(tmp_path: Path) -> None:
    clients = sharing(tmp_path, 4)
    server = Server(lambda t: 1667 if t < 24 else 333, skew=-3.0, phase=7.0)
    world = World(server, clients, seconds=66.0).run()
    close(clients)
    assert min(world.use()[3:]) >= 0.95
    assert world.refused_share() <= 0.012  # what is in flight when the limit is cut; 0.006 for one process
