"""The live feed: order, bounds, and nobody waiting for a slow watcher."""

import asyncio

from gateway.core.verdicts import Verdict
from gateway.shell.live import LiveEvent, LiveFeed


def event(position: int | None) -> LiveEvent:
    return LiveEvent(position, bytes(16), bytes(32), 1, Verdict.OK, 0)


def positions(events: list[LiveEvent] | None) -> list[int | None] | None:
    return None if events is None else [one.position for one in events]


def test_a_watcher_gets_what_comes_after_it_in_order():
    async def watched() -> list[LiveEvent]:
        feed = LiveFeed()
        feed.publish([event(0)])
        watcher = feed.watch()
        feed.publish([event(1), event(None)])
        feed.publish([event(2)])
        first = await watcher.next(10)
        waiting = asyncio.create_task(watcher.next(10))
        await asyncio.sleep(0)
        feed.publish([event(3)])
        return first + await waiting

    assert positions(asyncio.run(watched())) == [1, None, 2, 3]


def test_silence_ends_after_the_time_given():
    async def watched() -> list[LiveEvent]:
        return await LiveFeed().watch().next(0)

    assert asyncio.run(watched()) == []


def test_a_watcher_that_does_not_read_holds_a_bounded_number():
    async def watched() -> tuple[bool, bool, list[LiveEvent]]:
        feed = LiveFeed(watcher_events_max=3)
        slow, quick = feed.watch(), feed.watch()
        feed.publish([event(0), event(1), event(2)])
        before = slow.overflowed
        await quick.next(10)
        feed.publish([event(3)])
        assert positions(await quick.next(10)) == [3]
        return before, slow.overflowed, await slow.next(10)

    assert asyncio.run(watched()) == (False, True, [])


def test_closing_wakes_everybody():
    async def watched() -> list[list[LiveEvent]]:
        feed = LiveFeed()
        waiting = [asyncio.create_task(feed.watch().next(3_600)) for _ in range(3)]
        await asyncio.sleep(0)
        feed.close()
        late = feed.watch()
        return [*await asyncio.gather(*waiting), await late.next(3_600)]

    assert asyncio.run(watched()) == [[], [], [], []]


def test_a_closed_watcher_is_forgotten():
    async def watched() -> int:
        feed = LiveFeed()
        watcher = feed.watch()
        feed.watch()
        watcher.close()
        watcher.close()
        return feed.watchers

    assert asyncio.run(watched()) == 1


def test_the_recent_past_is_given_whole_or_not_at_all():
    feed = LiveFeed(recent_max=3)
    assert feed.since(-1) is None
    feed.publish([event(0), event(1), event(None), event(2)])
    assert positions(feed.since(1)) == [None, 2]
    assert positions(feed.since(2)) == []
    # Position 0 is not held any more, but nothing behind it is absent.
    assert positions(feed.since(0)) == [1, None, 2]
    assert feed.since(-1) is None
    assert feed.since(7) is None
