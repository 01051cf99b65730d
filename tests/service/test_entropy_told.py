"""How entropy is told: with the ticks of a driven clock, by a timer on a real one, over MQTT."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import cbor2
import paho.mqtt.client as paho
import pytest

from gateway.core.downlink import Downlink
from gateway.core.genesis import SLOT_MS
from gateway.core.ids import device_name
from gateway.shell.entropy_timer import EntropyTimer, no_external
from gateway.shell.network import NetworkKeys
from tests.service.entropy_rig import SLOT, hashed, link_of, tails, voids
from tests.service.gateway_rig import START, body_of
from tests.service.ingest_rig import FixedClock, Rig, driven, ingesting, run
from tests.service.signing_station import SigningStation
from tests.service.source_rig import MOSQUITTO, SOURCES, Site


def said(rig: Rig) -> list[Downlink]:
    """Everything that was sent but the keys, which all are greeted with."""
    return [what for kind, what in rig.source.happened if kind == "down" and what.tail != "keys"]


async def greeted(rig: Rig) -> None:
    """Whoever is greeted later is also told the tick."""
    await rig.source.until(lambda: rig.source.downlinks("keys"))


# ---- driven


def test_a_tick_is_told_before_the_entropy_of_its_slot(keys: NetworkKeys):
    async def test() -> None:
        async with ingesting(keys, driven()) as rig:
            await greeted(rig)
            assert await rig.ingest.control_tick(cbor2.dumps([SLOT]))
            first = said(rig)
            assert tails(first) == ["tick", "entropy-commit/0", "entropy-commit/1", "entropy"]
            assert await rig.ingest.control_tick(cbor2.dumps([SLOT + 1]))
            assert tails(said(rig)[4:]) == ["tick", "entropy"]
            assert voids(keys) == []

    run(test)


def test_a_repeated_tick_repeats_the_entropy(keys: NetworkKeys):
    async def test() -> None:
        async with ingesting(keys, driven()) as rig:
            await greeted(rig)
            for slot in (SLOT, SLOT + 1, SLOT + 1):
                assert await rig.ingest.control_tick(cbor2.dumps([slot]))
            *_, link, tick, again = said(rig)
            assert (tick.tail, again) == ("tick", link)
            assert link_of([again])[0] == SLOT + 1

    run(test)


def test_a_jump_of_the_tick_makes_voids_and_they_are_counted(keys: NetworkKeys):
    async def test() -> None:
        async with ingesting(keys, driven()) as rig:
            await greeted(rig)
            for slot in (SLOT, SLOT + 10):
                assert await rig.ingest.control_tick(cbor2.dumps([slot]))
            assert voids(keys) == [((SLOT + 1, SLOT + 9),)]
            text = rig.metrics.render().decode()
            assert 'cairn_entropy_slots_total{outcome="published"} 2.0' in text
            assert 'cairn_entropy_slots_total{outcome="void"} 9.0' in text
            assert rig.ingest.entropy.newest_slot == SLOT + 10

    run(test)


# ---- real


class Told:
    """Stands in for ingest: what it was asked to tell, and when."""

    def __init__(self, clock: FixedClock) -> None:
        self._clock = clock
        self.slots: list[tuple[int, bytes]] = []

    async def tell_entropy(self, external: bytes) -> None:
        self.slots.append(((self._clock.ms - START) // SLOT_MS, external))


async def rounds(timer: EntropyTimer, clock: FixedClock, times: list[int]) -> None:
    """Let the timer look once at each time; it sleeps no wall time."""
    left = iter(times)

    async def sleep(_: float) -> None:
        try:
            clock.ms = START + next(left)
        except StopIteration:
            raise asyncio.CancelledError from None

    clock.ms = START + next(left)
    timer._sleep = sleep
    with pytest.raises(asyncio.CancelledError):
        await timer.run()


def test_the_timer_tells_each_slot_once_and_catches_up(keys: NetworkKeys):
    async def test() -> None:
        clock = FixedClock()
        told = Told(clock)
        timer = EntropyTimer(told, clock, lambda: True, no_external)
        times = [0, 999, 59_999, 60_000, 61_000, 5 * SLOT_MS + 12_000, 5 * SLOT_MS + 13_000]
        await rounds(timer, clock, times)
        assert [slot for slot, _ in told.slots] == [0, 1, 5]

    run(test)


def test_the_timer_waits_while_nobody_can_be_told(keys: NetworkKeys):
    async def test() -> None:
        clock = FixedClock()
        told = Told(clock)
        timer = EntropyTimer(told, clock, lambda: clock.ms >= START + 20_000, no_external)
        await rounds(timer, clock, [0, 10_000, 20_000, 30_000])
        assert told.slots == [(0, b"")]
        assert clock.ms == START + 30_000

    run(test)


def test_what_comes_when_its_slot_is_over_is_not_mixed_into_the_next(keys: NetworkKeys):
    async def test() -> None:
        clock = FixedClock()
        told = Told(clock)

        async def slow() -> bytes:
            clock.ms += SLOT_MS
            return b"old"

        timer = EntropyTimer(told, clock, lambda: True, slow)
        await rounds(timer, clock, [0])
        assert told.slots == [(1, b"")]

    run(test)


def test_ingest_tells_at_the_time_that_it_is_then(keys: NetworkKeys):
    """A worker that was busy for longer than a link may be late leaves the slot void."""

    async def test() -> None:
        clock = FixedClock()
        async with ingesting(keys, clock) as rig:
            await rig.ingest.tell_entropy(b"round")
            assert link_of(said(rig))[2] == b"round"
            clock.ms = START + SLOT_MS
            busy = rig.worker.call(lambda _: setattr(clock, "ms", clock.ms + 30_001))
            await asyncio.gather(busy, rig.ingest.tell_entropy(b""))
            assert tails(said(rig)).count("entropy") == 1

    run(test)


# ---- delivery


@pytest.fixture(params=SOURCES)
def site(
    request: pytest.FixtureRequest,
    keys: NetworkKeys,
    tmp_path: Path,
    require_component: Callable[[str], str],
):
    if request.param == MOSQUITTO:
        require_component("mosquitto")
    names = [device_name(SigningStation(1, keys.network_id).device)]
    site = Site(request.param, keys, tmp_path, names)
    yield site
    site.close()


def test_a_late_subscriber_gets_commits_and_the_link_retained(site: Site, keys: NetworkKeys):
    async def test() -> None:
        async with site.gateway(clock=driven()) as served:
            for slot in (SLOT, SLOT + 1):
                await asyncio.to_thread(site.tick, cbor2.dumps([slot]))
            await served.until(lambda: served.rig.ingest.entropy.newest_slot == SLOT + 1)
            client = site.client(SigningStation(1, keys.network_id))
            assert await asyncio.to_thread(client.connect) == "Success"
            held = await asyncio.to_thread(_held, client.messages)
            client.close()
            base = f"cairn/1/{keys.network_id.hex()}/all"
            assert all(one.retain and one.qos == 0 for one in held.values())
            slot, chain, external = cbor2.loads(held[f"{base}/entropy"].payload)
            assert (slot, external) == (SLOT + 1, b"")
            data = bytes(held[f"{base}/entropy-commit/0"].payload)
            (end, first, _) = body_of(keys, Downlink(b"", "entropy-commit/0", data))
            assert first == SLOT
            assert hashed(chain, 2) == end
            assert f"{base}/entropy-commit/1" in held

    run(test)


def _held(messages) -> dict[str, paho.MQTTMessage]:
    """Messages by topic, until the three of entropy are there."""
    held: dict[str, paho.MQTTMessage] = {}
    while sum("/entropy" in topic for topic in held) < 3:
        one = messages.get(timeout=20)
        held[one.topic] = one
    return held
