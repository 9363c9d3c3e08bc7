"""What workers let through of a limit that a region counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.limits.lease import HORIZON, Account, Ask, Terms, ask, charge, give_back, settle, short, spend
from tests.support.ledger import Ledger

START = 1_000.0


class World:
    """Some workers, one key, and Redis, by hand."""

    def __init__(self, terms: Terms, workers: int) -> None:
        self.terms = terms
        self.now = START
        self.ledger = Ledger()
        self.accounts = [Account(b"key", terms, START) for _ in range(workers)]
        self.memory = 1
        self.alone = False
        self.under_way: dict[int, tuple[Ask, float, float, float]] = {}
        self.passed: list[tuple[float, float]] = []

    def spend(self, worker: int, times: int, cost: float = 1.0) -> int:
        passed = 0
        for _ in range(times):
            if spend(self.accounts[worker], self.now, cost, len(self.accounts), self.alone) == 0:
                self.passed.append((self.now, cost))
                passed += 1
        return passed

    def ask(self, worker: int) -> None:
        if not self.alone and worker not in self.under_way:
            asked = ask(self.accounts[worker], self.now, self.memory, len(self.accounts))
            granted, ahead = self.ledger.call(self.now, self.terms, asked)
            self.under_way[worker] = asked, granted, ahead, self.now

    def answer(self, worker: int) -> None:
        if worker in self.under_way:
            asked, granted, ahead, sent = self.under_way.pop(worker)
            count = len(self.accounts)
            settle(self.accounts[worker], asked, granted, ahead, self.now, sent, self.memory, count)

    def tell(self, worker: int) -> None:
        self.answer(worker)
        self.ask(worker)
        self.answer(worker)

    def give_back(self, worker: int) -> None:
        if worker not in self.under_way:
            give_back(self.accounts[worker])
            self.tell(worker)

    def lose(self, data: bool) -> None:
        self.alone = True
        self.under_way.clear()
        self.memory += 1
        if data:
            self.ledger = Ledger()

    def come_back(self) -> None:
        if self.alone:
            for account in self.accounts:
                asked = ask(account, self.now, self.memory, len(self.accounts))
                granted, ahead = self.ledger.call(self.now, self.terms, asked, settling=1e9)
                assert not granted
                settle(account, asked, granted, ahead, self.now, self.now, self.memory, len(self.accounts))
                account.until = 0.0
            self.alone = False

    def most_over(self) -> float:
        """By how much the limit was exceeded, in the stretch of time where that was the most."""
        over, most, last = 0.0, 0.0, START
        for at, cost in self.passed:  # what came in since the best beginning, less what the rate allows
            over = max(0.0, over - (at - last) / self.terms.interval) + cost
            most, last = max(most, over), at
        return most - self.terms.burst


def acts(workers: int) -> st.SearchStrategy[list[tuple[str, int, float]]]:
    """What happens, to which worker, and how much or how long."""
    worker = st.integers(0, workers - 1)
    rare = st.sampled_from(["give_back", "lose", "forget", "back", "answer"])
    kind = st.one_of(st.sampled_from(["spend", "spend", "tell", "ask", "answer", "wait"]), rare)
    return st.lists(st.tuples(kind, worker, st.floats(0.0, 1.0)), max_size=120)


DO: dict[str, Callable[[World, int, float], object]] = {
    "spend": lambda world, worker, much: world.spend(worker, 1 + int(much * 2 * world.terms.burst)),
    "tell": lambda world, worker, _: world.tell(worker),
    "ask": lambda world, worker, _: world.ask(worker),
    "answer": lambda world, worker, _: world.answer(worker),
    "give_back": lambda world, worker, _: world.give_back(worker),
    "lose": lambda world, *_: world.lose(False),
    "forget": lambda world, *_: world.lose(True),
    "back": lambda world, *_: world.come_back(),
}


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_stretch_of_time_lets_through_more_than_the_limit_and_a_batch_for_each_worker(data: st.DataObject) -> None:
    workers = data.draw(st.integers(1, 5))
    hold, owe = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    terms = Terms(data.draw(st.sampled_from([0.01, 1.0, 60.0])), data.draw(st.integers(1, 40)), hold, owe)
    world = World(terms, workers)
    for kind, worker, much in data.draw(acts(workers)):
        if kind == "wait":
            world.now += much * terms.interval * terms.burst
        else:
            DO[kind](world, worker, much)
    assert world.most_over() <= workers * (hold + owe) + 1e-3


def test_a_key_nobody_holds_anything_for_begins_on_credit_and_no_further() -> None:
    world = World(Terms(0.1, 100, 10, 10), 2)
    assert world.spend(0, 50) == 10
    world.tell(0)
    assert world.accounts[0].owed == 0
    assert world.ledger.arrival == pytest.approx(START + 0.1 * (10 + world.accounts[0].held))


def test_what_is_held_is_spent_without_asking_and_sized_by_the_pace() -> None:
    world = World(Terms(0.01, 1000, 50, 50), 1)
    world.spend(0, 11)
    world.tell(0)
    assert world.accounts[0].held == 20  # twice what came beside the first, in the least time that is looked at
    assert world.spend(0, 20) == 20
    assert world.accounts[0].owed == 0
    world.now += HORIZON
    world.tell(0)
    assert world.accounts[0].held == 38


def test_a_single_request_is_told_and_leases_nothing() -> None:
    world = World(Terms(0.1, 100, 10, 10), 2)
    world.spend(0, 1)
    world.tell(0)
    assert (world.accounts[0].held, world.accounts[0].owed) == (0, 0)


def test_what_the_region_has_used_up_is_refused_here_with_the_time_to_wait() -> None:
    world = World(Terms(1.0, 10, 5, 5), 2)
    while world.spend(0, 1):
        world.tell(0)
    assert world.spend(1, 1) == 1  # nobody has told this one yet
    world.tell(1)
    assert spend(world.accounts[1], world.now, 1.0, 2, False) == pytest.approx(2.0)
    assert short(world.accounts[1], world.now, 1.0, 2, False) == pytest.approx(2.0)


def test_what_is_given_back_is_there_for_others() -> None:
    world = World(Terms(1.0, 10, 5, 5), 2)
    world.spend(0, 4)
    world.tell(0)
    assert world.accounts[0].held == 5
    world.give_back(0)
    assert world.ledger.arrival == pytest.approx(START + 4)
    assert world.accounts[0].held == 0


def test_what_comes_back_too_late_is_not_taken_off_what_others_have_used_since() -> None:
    world = World(Terms(0.1, 10, 5, 5), 2)
    world.spend(0, 4)
    world.tell(0)
    world.now += 10
    world.spend(1, 5)
    world.tell(1)
    used = world.ledger.arrival
    world.give_back(0)
    assert world.ledger.arrival == used


def test_alone_each_worker_has_its_share_and_at_least_one() -> None:
    world = World(Terms(0.1, 20, 5, 5), 4)
    world.lose(data=True)
    assert [world.spend(worker, 50) for worker in range(4)] == [5, 5, 5, 5]
    world.now += 10 * 0.1
    assert [world.spend(worker, 50) for worker in range(4)] == [2, 2, 2, 2]
    narrow = World(Terms(1.0, 1, 5, 5), 4)
    narrow.lose(data=True)
    assert [narrow.spend(worker, 5) for worker in range(4)] == [1, 1, 1, 1]


def test_a_share_may_be_set() -> None:
    world = World(Terms(0.1, 20, 5, 5, 0.5), 4)
    world.lose(data=True)
    world.spend(0, 50)
    world.now += 10 * 0.1
    assert world.spend(0, 50) == 5


def test_what_was_spent_alone_counts_as_of_when_it_was_spent() -> None:
    world = World(Terms(0.1, 100, 5, 5), 2)
    world.lose(data=True)
    for _ in range(100):  # as fast as both shares allow, for ten seconds
        world.spend(0, 9)
        world.spend(1, 9)
        world.now += 0.1
    world.come_back()
    assert world.ledger.arrival is not None
    assert world.ledger.arrival - world.now == pytest.approx(0.1 * 10, abs=0.3)  # the credit both began with


def test_a_burst_of_one_alone_counts_from_when_it_came_not_from_when_it_was_first_alone() -> None:
    world = World(Terms(0.1, 100, 5, 5), 2)
    world.lose(data=True)
    world.spend(0, 1)
    world.now += 50
    world.spend(0, 5)
    world.come_back()
    assert world.ledger.arrival is not None
    assert world.ledger.arrival - world.now == pytest.approx(0.1 * 4)


def test_lost_data_is_made_good_by_the_worker_that_knows_most_whoever_tells_first() -> None:
    for knowing in (0, 1):
        world = World(Terms(1.0, 100, 5, 5), 2)
        world.spend(1 - knowing, 1)
        world.tell(1 - knowing)
        for _ in range(30):
            world.spend(knowing, 3)
            world.tell(knowing)
        before = world.ledger.arrival
        world.lose(data=True)
        world.come_back()
        assert world.ledger.arrival == before


def test_what_is_spent_while_redis_is_asked_is_told_next() -> None:
    world = World(Terms(1.0, 100, 5, 5), 1)
    world.spend(0, 1)
    world.ask(0)
    assert world.spend(0, 2) == 2
    world.answer(0)
    assert world.accounts[0].owed == 2
    world.tell(0)
    assert world.ledger.arrival == pytest.approx(START + 3 + world.accounts[0].held)


def test_what_has_happened_is_charged_beyond_the_limit() -> None:
    world = World(Terms(1.0, 10, 5, 5), 1)
    world.spend(0, 4)
    world.tell(0)
    charge(world.accounts[0], world.now, 100.0, 1, False)
    assert world.accounts[0].held == 0
    assert spend(world.accounts[0], world.now, 1.0, 1, False) > 80
    world.tell(0)
    assert world.ledger.arrival == pytest.approx(START + 104)


def test_charges_count_while_alone_too() -> None:
    world = World(Terms(1.0, 10, 5, 5), 2)
    world.lose(data=True)
    charge(world.accounts[0], world.now, 50.0, 2, True)
    assert spend(world.accounts[0], world.now, 1.0, 2, True) == pytest.approx(2 * (50 + 1 - 5))


def test_one_that_costs_more_than_a_batch_passes_by_itself() -> None:
    world = World(Terms(1.0, 100, 5, 5), 2)
    assert world.spend(0, 2, cost=40.0) == 1
    world.tell(0)
    assert world.spend(0, 2, cost=40.0) == 1
    world.tell(0)
    assert world.spend(0, 2, cost=40.0) == 0
