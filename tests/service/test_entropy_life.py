"""Entropy in a gateway process: killed and started again, and what health says of it."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cbor2
import pytest

from gateway.cli.gateway_child import GatewayChild
from gateway.core.genesis import DAY_MS, SLOT_MS
from gateway.shell import runtime_health
from gateway.shell.entropy import EntropyCounts
from gateway.shell.health import Check
from gateway.shell.network import NetworkKeys
from gateway.shell.runtime_health import Watch
from tests.service.entropy_rig import SLOT, voids
from tests.service.gateway_rig import START
from tests.service.ingest_rig import FixedClock
from tests.service.paho_station import PahoStation
from tests.service.runtime_rig import endpoint_up, real_network
from tests.service.signing_station import SigningStation
from tests.service.source_rig import ENDPOINT, Site


class Driven:
    """A driven gateway in a process of its own, and the operator who ticks it."""

    def __init__(self, keys: NetworkKeys, folder: Path) -> None:
        self._site = Site(ENDPOINT, keys, folder, [])
        self._station = SigningStation(1, keys.network_id)
        self._network_id = keys.network_id
        self.child = GatewayChild(keys.folder, "--clock", "driven")

    def start(self) -> None:
        self.child.start()
        self._site._port = int(self.child.addresses.mqtt.rpartition(":")[2])

    def tick(self, slot: int) -> dict[str, bytes]:
        """What somebody who subscribes after a tick finds, by the tail of its topic."""
        self._site.tick(cbor2.dumps([slot]))
        client = PahoStation(self._station, self._network_id, self._site.url)
        assert client.connect() == "Success"
        held = {}
        # Retained messages come in the order in which they were told.
        while "entropy" not in held or cbor2.loads(held["entropy"])[0] != slot:
            one = client.messages.get(timeout=20)
            held[one.topic.partition("/all/")[2]] = bytes(one.payload)
        client.close()
        return held


@pytest.fixture
def driven(keys: NetworkKeys, tmp_path: Path) -> Iterator[Driven]:
    driven = Driven(keys, tmp_path)
    driven.start()
    yield driven
    driven.child.stop()


def test_a_killed_gateway_goes_on_in_its_chain(driven: Driven, keys: NetworkKeys):
    before = driven.tick(SLOT)
    driven.child.kill()
    driven.start()
    again = driven.tick(SLOT)
    assert all(again[tail] == before[tail] for tail in before if tail.startswith("entropy"))
    after = driven.tick(SLOT + 4)
    assert after["entropy-commit/0"] == before["entropy-commit/0"]
    assert driven.child.stop() == 0
    assert voids(keys) == [((SLOT + 1, SLOT + 3),)]


def test_a_real_gateway_promises_at_once(tmp_path: Path):
    """Its first link comes with the next minute, for which no test waits."""
    keys = real_network(tmp_path / "real")
    with endpoint_up(keys) as site:
        client = site.connect(SigningStation(1, keys.network_id))
        today = keys.genesis.epoch_zero_ms // DAY_MS
        tails = [f"all/entropy-commit/{day % 2}" for day in (today, today + 1)]
        assert len({client.wait_message(tail) for tail in tails}) == 2
        client.close()


# ---- health


def check(clock: FixedClock, newest: int | None, kind: str = "real") -> Check:
    watch = Watch(
        SimpleNamespace(clock=kind),  # type: ignore[arg-type]
        SimpleNamespace(),  # type: ignore[arg-type]
        clock,
        SimpleNamespace(entropy=EntropyCounts(0, 0, newest)),  # type: ignore[arg-type]
        SimpleNamespace(),  # type: ignore[arg-type]
    )
    return watch._entropy()


@pytest.mark.parametrize(
    "into_slot_ms, behind, kind, ok",
    [
        (0, 0, "real", True),
        (59_999, 0, "real", True),
        (34_999, 1, "real", True),
        (35_000, 1, "real", False),
        (0, 2, "real", False),
        (0, 0, "driven", True),
        (0, 1, "driven", False),
        (0, None, "real", False),
    ],
)
def test_health_says_whether_the_present_slot_is_published(
    monkeypatch: pytest.MonkeyPatch, into_slot_ms, behind, kind, ok
):
    monkeypatch.setattr(runtime_health, "_ENTROPY_START_S", 0.0)
    clock = FixedClock(START + 10 * SLOT_MS + into_slot_ms)
    said = check(clock, None if behind is None else SLOT + 10 - behind, kind)
    assert (said.name, said.ok, bool(said.do)) == ("entropy", ok, not ok)


def test_a_gateway_that_has_just_begun_is_not_blamed():
    assert check(FixedClock(), None).ok
