"""The event heap: order, virtual time, kills, and what happens to exceptions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.world import Event, Group, Queue, Sleep, Stopped, TaskFailed, World


@pytest.fixture
def world():
    return World(1_000, seed=5)


def test_sleep_takes_virtual_time_only(world):
    seen = []

    async def sleeper():
        await Sleep(86_400_000)
        seen.append(world.now_ms)

    world.spawn(sleeper(), Group("a"))
    world.run(1_000 + 86_400_000)
    assert seen == [86_401_000]


@given(st.lists(st.integers(0, 20), max_size=30))
def test_events_run_by_time_and_then_in_the_order_asked_for(delays):
    world = World(0, seed=0)
    seen = []
    for number, delay in enumerate(delays):
        world.call_at(delay, lambda item=(delay, number): seen.append(item))
    world.run(20)
    assert seen == sorted(seen)
    assert len(seen) == len(delays)


def test_event_wakes_every_waiter_and_times_out(world):
    event = Event(world)
    seen = []

    async def waiter(timeout_ms):
        seen.append((await event.wait(timeout_ms), world.now_ms))

    group = Group("a")
    world.spawn(waiter(None), group)
    world.spawn(waiter(10), group)
    world.spawn(waiter(500), group)
    world.call_at(1_100, event.set)
    world.run(5_000)
    assert seen == [(False, 1_010), (True, 1_100), (True, 1_100)]


def test_a_timeout_that_lost_its_race_wakes_nobody(world):
    event = Event(world)
    seen = []

    async def waiter():
        seen.append(await event.wait(100))
        await Sleep(1_000)
        seen.append(world.now_ms)

    world.spawn(waiter(), Group("a"))
    world.call_at(1_050, event.set)
    world.run(5_000)
    assert seen == [True, 2_050]


def test_queue_keeps_order(world):
    queue: Queue[int] = Queue(world)
    seen = []

    async def reader():
        while True:
            seen.append(await queue.get())

    group = Group("a")
    world.spawn(reader(), group)
    for number in range(5):
        world.call_at(1_000 + number // 2, lambda number=number: queue.put(number))
    world.run(2_000)
    assert seen == [0, 1, 2, 3, 4]
    group.kill()


def test_killed_group_runs_no_further_and_starts_nothing(world):
    seen = []

    async def ticker():
        while True:
            await Sleep(10)
            seen.append(world.now_ms)

    group = Group("a")
    world.spawn(ticker(), group)
    world.run(1_025)
    group.kill()
    world.spawn(ticker(), group)
    world.run(2_000)
    assert seen == [1_010, 1_020]


def test_stopped_ends_the_whole_group_once(world):
    reasons = []

    async def dies():
        await Sleep(5)
        raise Stopped("power cut")

    async def lives():
        try:
            await Sleep(1_000)
            reasons.append("survived")
        finally:
            raise Stopped("no power")  # as when a `finally` writes to dead flash

    group = Group("a", reasons.append)
    world.spawn(lives(), group)
    world.spawn(dies(), group)
    world.run(5_000)
    assert reasons == ["power cut"]
    assert not group.alive


def test_exception_names_task_time_and_seed(world):
    async def wrong():
        await Sleep(7)
        raise KeyError("x")

    world.spawn(wrong(), Group("board 3 boot 1"))
    with pytest.raises(TaskFailed, match=r"board 3 boot 1 failed at 1007 ms .* seed 5: KeyErr"):
        world.run(2_000)


def test_exception_of_a_callback_is_raised_as_it_is_with_a_note(world):
    def wrong():
        raise KeyError("x")

    world.call_at(1_500, wrong)
    with pytest.raises(KeyError) as caught:
        world.run(2_000)
    assert caught.value.__notes__ == ["raised at 1500 ms with seed 5"]
