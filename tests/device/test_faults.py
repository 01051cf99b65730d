"""What goes wrong at a station has a stable code, and the station goes on.

Each case harms one board on real MicroPython with a real Mosquitto, reads the code that it
reported, and then wants samples that were taken after the harm at the gateway.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cairn import cbor, cose, downlinks, wire
from nacl.signing import SigningKey

from tests.device.runner_rig import SAMPLES, Town, stored, town
from tests.service.mqtt_link_rig import HOST
from tests.unit.firmware.bench import GATEWAY_PUBLIC, ROOT_PUBLIC, downlink
from tests.unit.firmware.certificates import Authority, make_authority

SEED = 20261124
STATION = {
    "sample_interval_ms": 30_000,
    "samples_per_message": 1,
    "quantities": [(0, 0, 30_000), (1, 0, 30_000)],
    "status_interval_ms": 600_000,
}


@dataclass
class Programs:
    """Where the real things are."""

    mosquitto: str
    openssl: str
    node_modules: Path


@pytest.fixture
def programs(
    require_component: Callable[[str], str], node_modules: Callable[[str], Path]
) -> Programs:
    found = [require_component(name) for name in ("mosquitto", "openssl")]
    return Programs(found[0], found[1], node_modules("device"))


@pytest.fixture
def place(programs: Programs) -> Iterator[Town]:
    with town(programs.mosquitto, programs.node_modules) as place:
        yield place


def start(place: Town, count: int = 3) -> str:
    """A station that works; its name."""
    place.runner.add(0, files=place.files(**STATION), samples=SAMPLES)
    place.runner.boot()
    place.reach(place.delivered(count))
    assert place.reports() == []
    return place.messages.get_nowait()[0].split("/")[3]


def goes_on(place: Town) -> None:
    """What is sampled from now on arrives, without a fork and with nothing missing."""
    now_ms = place.runner.now_ms()

    def arrived() -> bool:
        times = [fields[5] for fields in place.gateway.fields(wire.READINGS)]
        return len([one for one in times if one > now_ms]) >= 3

    place.reach(arrived, step_ms=5_000)
    place.reach(place.gateway.complete)
    restarts = [one for one in place.look() if one.kind in ("restart", "watchdog", "exception")]
    assert restarts == []


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def harm_flash(place: Town, harm: Callable[[dict[str, bytes]], dict[str, bytes | None]]) -> None:
    """Change the flash of the board between two boots."""
    place.runner.cut(0)
    for name, data in harm(place.runner.flash(0)).items():
        place.runner.set_flash(0, name, data)
    place.runner.run_for(1_000)
    place.runner.boot()


def test_one_damaged_copy_of_the_configuration(place: Town) -> None:
    start(place)
    harm_flash(place, lambda files: {"config": flipped(files["config"], 40)})
    goes_on(place)
    assert place.reports() == ["config.spare"]
    assert place.runner.flash(0)["config"] == place.files(**STATION)["config"]


def test_both_copies_of_the_configuration_damaged(place: Town) -> None:
    start(place)
    names = ("config", "config.spare")
    harm_flash(place, lambda files: {name: flipped(files[name], 40) for name in names})
    before = place.runner.flash(0)
    place.runner.run_for(10 * 60_000)
    assert set(place.reports()) == {"config.damaged"}
    after = place.runner.flash(0)
    assert {name: after[name] for name in before if name.startswith("outbox/")} == {
        name: data for name, data in before.items() if name.startswith("outbox/")
    }
    # Somebody provisions it again, over the same console, while it waits.
    good = place.files(**STATION)["config"]
    place.runner.evaluate(0, f"board.fs.write('config', bytes.fromhex('{good.hex()}'))")
    goes_on(place)


@pytest.mark.parametrize("place_of_harm", ["record", "everything"])
def test_a_damaged_segment(place: Town, place_of_harm: str) -> None:
    start(place)
    place.runner.wifi(0, up=False)
    place.runner.run_for(20 * 60_000)
    offline = set(stored(place.runner.flash(0))) - set(place.gateway.taken)
    assert len(offline) >= 10

    def harm(files: dict[str, bytes]) -> dict[str, bytes | None]:
        name = max(name for name in files if name.startswith("outbox/"))
        data = files[name]
        if place_of_harm == "everything":
            return {name: random.Random(SEED).randbytes(len(data))}
        return {name: flipped(data, len(data) * 2 // 3)}

    harm_flash(place, harm)
    place.runner.wifi(0, up=True)
    goes_on(place)
    assert "outbox.damaged" in place.reports()
    # What is lost is said: a gap names it, and all else came.
    gaps = place.gateway.fields(wire.GAP)
    assert gaps
    lost = {seq for fields in gaps for seq in range(fields[7][0], fields[7][1] + 1)}
    assert lost & offline
    if place_of_harm == "record":
        assert len(lost) < len(offline)


def authority(programs: Programs, folder: Path) -> Authority:
    return make_authority(programs.openssl, folder)


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_broker_that_is_not_the_right_one(
    programs: Programs, tmp_path: Path, wrong: str
) -> None:
    right, other = (authority(programs, tmp_path / name) for name in ("right", "other"))
    ca = right.certificate.read_bytes()
    trusted = other.certificate.read_bytes() if wrong == "authority" else ca
    name = "other.test" if wrong == "name" else HOST
    certificate = right.issue(HOST)
    with town(programs.mosquitto, programs.node_modules, certificate, right.certificate) as place:
        place.runner.resolve({"other.test": (HOST, None)})
        files = place.files(**STATION, broker_host=name, broker_ca=trusted)
        place.runner.add(0, files=files, samples=SAMPLES)
        place.runner.boot()
        place.reach(lambda: len(stored(place.runner.flash(0))) >= 6, step_ms=5_000)
        assert "link.tls" in place.reports()
        assert place.gateway.taken == {}
        tries = [one.values for one in place.look() if one.kind == "connect" and one.values["tls"]]
        assert tries
        words = "altnames" if wrong == "name" else "unable to verify"
        assert all(words in values["error"].lower() for values in tries), tries
        waiting = set(stored(place.runner.flash(0)))
        values = {"broker_host": HOST, "broker_ca": ca}
        harm_flash(place, lambda _: dict(place.files(**STATION, **values)))
        goes_on(place)
        assert waiting <= set(place.gateway.taken)


@pytest.mark.slow
def test_a_gateway_with_another_key(place: Town) -> None:
    """Keys and receipts that nobody whom the root named has signed change and free nothing."""
    name = start(place)
    device, network_id = place.device(name), place.network_id
    stranger = SigningKey(bytes(range(32)))
    own_kid = cose.kid_of(bytes(stranger.verify_key))

    def signed(kid: bytes, role: str, payload: list[object]) -> bytes:
        data = cbor.encode(payload)
        return cose.sign1(
            lambda message: stranger.sign(message).signature, kid, network_id, role, data
        )[0]

    terms = [16, "gateway", bytes(stranger.verify_key), 2, 0, 1 << 50]
    for kid, code in ((own_kid, "root_kid"), (cose.kid_of(ROOT_PUBLIC), "root_signature")):
        body = [signed(kid, "root", terms)]
        now_ms = place.runner.now_ms()
        keys = signed(own_kid, "gateway", [16, downlinks.KEYS, b"", 2, now_ms, body])
        place.down(name, "all/keys", keys)
        place.reach(lambda: f"downlink.{code}" in place.reports(), steps=10)  # noqa: B023
    # A receipt is verified as soon as enough would be freed by it.
    place.receipts = False
    place.reach(place.delivered(150), step_ms=15_000)
    kept = set(stored(place.runner.flash(0)))
    body = place.gateway.receipt_body()
    payload = [16, downlinks.RECEIPT, device, 1, place.runner.now_ms(), body]
    forged = signed(cose.kid_of(GATEWAY_PUBLIC), "gateway", payload)
    place.down(name, "down/receipt", forged)
    place.reach(lambda: "downlink.signature" in place.reports(), steps=10)
    assert kept <= set(stored(place.runner.flash(0)))
    place.receipts = True
    goes_on(place)
    place.reach(lambda: kept & set(stored(place.runner.flash(0))) == set(), step_ms=15_000)


def test_garbage_from_the_network(place: Town) -> None:
    name = start(place)
    rng = random.Random(SEED)
    tails = ("down/receipt", "down/notice", "all/tick", "all/keys", "all/entropy")
    good = place.receipt(place.device(name))
    for tail in tails:
        for size in (0, 1, 40, 200):
            place.down(name, tail, rng.randbytes(size))
        for _ in range(10):
            place.down(name, tail, flipped(good, rng.randrange(len(good))))
        place.down(name, tail, good[:-1])
        place.down(name, tail, good + bytes(3_000))
        place.down(name, tail, cbor.encode([[[]]]))
        place.runner.run_for(1_000)
        place.runner.settle()
    codes = set(place.reports())
    assert codes
    assert all(code.startswith("downlink.") for code in codes), codes
    assert place.runner.evaluate(0, "gc.mem_alloc()") < 400_000
    goes_on(place)


@pytest.mark.slow
def test_a_replayed_receipt(place: Town) -> None:
    name = start(place)
    device = place.device(name)
    old = place.receipt(device)
    before = place.runner.flash(0).get("receipt")
    place.reach(lambda: place.runner.flash(0)["receipt"] != before, step_ms=15_000)
    place.down(name, "down/receipt", old)
    place.reach(lambda: place.reports() != [], steps=10)
    assert place.reports() == ["downlink.lower_up_to"]
    # One of another station says nothing here either.
    place.down(
        name, "down/receipt", downlink(17, bytes(16), [0, bytes(16), [], [], 0], place.network_id)
    )
    place.reach(lambda: len(place.reports()) >= 2)
    assert place.reports()[1] == "downlink.to"
    goes_on(place)


def test_a_station_without_a_configuration_waits_for_one(programs: Programs) -> None:
    with town(programs.mosquitto, programs.node_modules) as place:
        place.runner.add(0, samples=SAMPLES)
        place.runner.boot()
        place.runner.run_for(5 * 60_000)
        assert set(place.reports()) == {"config.absent"}
        for name, data in place.files(**STATION).items():
            place.runner.evaluate(0, f"board.fs.write('{name}', bytes.fromhex('{data.hex()}'))")
        goes_on(place)
