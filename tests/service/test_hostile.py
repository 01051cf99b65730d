"""Clients that no one here wrote attack a network at work: mosquitto_pub, and a paho script.

What honest boards sent is published again: as it was, reordered, mutated, under another device's
topic, oversized; and garbage besides, 10,000 messages in all. Each must get its named verdict,
the gateway's memory must stay bounded, and no board may lose anything. The fleet and the attack
advance in step, so that every kind of attack meets honest traffic.
"""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from gateway.cli.fleet_run import simulate_over_mqtt
from gateway.core.ids import device_name
from gateway.core.verdicts import Verdict
from gateway.shell.network import DATABASE
from gateway.shell.store.sqlite import SqliteStore
from simulator.door import settle_record
from simulator.fleet import FleetReport
from tests.service.hostile_rig import (
    EVE,
    MALLORY,
    OWN_MESSAGES,
    SEED,
    TOGETHER,
    WAIT_S,
    Attack,
    Gate,
    Script,
    Site,
    site,
)
from tests.service.signing_station import SigningStation

# Minutes that pass for the fleet with every 250 hostile messages.
PACE = 10
# A device may send 1,200 messages at once, and earns 2,400 in the 20 minutes of two floods.
BURST, PER_MINUTE, FLOOD_MINUTES = 1_200, 120, 20
FLOOD = 6_000
FLOOD_PACE = FLOOD_MINUTES / (2 * FLOOD / TOGETHER)
# Less than half of what the attackers send.
MEMORY_BYTES_MAX = 12 << 20
NO_LIMITS = "device_messages_per_minute = 1000000\ndevice_messages_burst = 1000000\n"

Names = frozenset[str]
DUPLICATE, MISMATCH = frozenset({"duplicate"}), frozenset({"topic_mismatch"})
BAD_SIGNATURE, TRUNCATED = frozenset({"bad_signature"}), frozenset({"truncated"})
OVERSIZE, LIMITED = frozenset({"oversize"}), frozenset({"rate_limited"})
STRUCTURE = TRUNCATED | {
    *("trailing_bytes", "duplicate_key", "non_minimal_integer", "float", "indefinite_length"),
    *("unsupported_type", "too_deep", "bad_text", "bad_envelope"),
}


class Class(NamedTuple):
    """count messages of the attacker's own device and as many of the boards'; verdicts: what may
    be said of them where the way they came says nothing against them.
    """

    kind: str
    count: int
    verdicts: Names


CLASSES = (
    Class("replayed", 500, DUPLICATE),
    Class("reordered", 700, DUPLICATE),
    Class("flipped", 800, STRUCTURE | BAD_SIGNATURE | MISMATCH),
    Class("flipped_signature", 600, BAD_SIGNATURE),
    Class("cut", 500, TRUNCATED),
    Class("extended", 500, frozenset({"trailing_bytes"})),
    Class("other_topic", 500, MISMATCH),
    Class("no_device", 150, MISMATCH),
    Class("oversized", 500, OVERSIZE),
    Class("garbage", 150, STRUCTURE),
    Class("empty", 100, TRUNCATED),
)
ALL = 10_000


# ---- the attackers


def one_class(one: Class, attack: Attack) -> None:
    """From one connection: of a device, or at the broker of a user who may do all."""
    site = attack.site
    with Script(site, strongest(site)) as script:
        for own in (True, False):
            # The endpoint knows who publishes; what is too long is too long whoever it is.
            foreign = site.broker is None and not (own and one.kind != "other_topic")
            verdicts = MISMATCH if foreign and one.kind != "oversized" else one.verdicts
            whose = "its own" if own else "of boards"
            with attack.held_to(f"{one.kind}, {whose}", one.count, verdicts):
                attack.publish(script, one.kind, one.count, own=own)


def strongest(site: Site) -> tuple[str, str]:
    """The login that reaches furthest."""
    return site.login(site.thief) if site.broker is None else site.broker_login(MALLORY)


def by_mosquitto_pub(attack: Attack) -> None:
    """A message a process: from a file, from its input, and an empty one."""
    site = attack.site
    stranger = SigningStation(1, site.keys.network_id)
    foreign, draw = site.broker is None, random.Random(SEED)
    boards = [one for one in site.record.in_order() if one.device != site.thief.device][:12]
    for option, device, verdicts in (
        ("-f", None, MISMATCH if foreign else DUPLICATE),
        ("-s", stranger.device, STRUCTURE),
        ("-n", None, MISMATCH if foreign else TRUNCATED),
    ):
        with attack.held_to(f"mosquitto_pub {option}", len(boards), verdicts):
            for one in boards:
                login = site.login(stranger) if foreign else site.broker_login(EVE)
                topic = f"{site.base}/{device_name(device or one.device)}/up"
                data = one.data if option == "-f" else draw.randbytes(200)
                mosquitto_pub(site, login, topic, option, data)
                attack.published += 1


def mosquitto_pub(
    site: Site, login: tuple[str, str], topic: str, option: str, data: bytes
) -> None:
    url, (user, password) = urlsplit(site.url), login
    command = ["mosquitto_pub", "-h", url.hostname, "-p", str(url.port), "-q", "1", "-t", topic]
    command += ["-i", user, "-u", user, "-P", password, option]
    if option == "-f":
        payload = site.folder / "payload"
        payload.write_bytes(data)
        command.append(str(payload))
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=WAIT_S)
    assert (done.returncode, done.stderr) == (0, b""), done


def two_megabytes(attack: Attack) -> None:
    """More than anybody waits for: the connection ends, and whoever ended it has counted why."""
    site = attack.site
    reaches = site.broker is None
    with Script(site, strongest(site)) as script, attack.held_to("huge", reaches, OVERSIZE):
        answer = script.publish("huge", 1, own=True)
    assert (answer["published"], answer["acked"]) == (1, 0)
    assert answer["ended"]
    attack.published += reaches
    if not reaches:
        log = site.broker.log.read_text()
        assert log.count(f"{MALLORY} disconnected due to oversize packet") == 1


def denied_by_the_broker(attack: Attack) -> None:
    """A device under a board's topic: Mosquitto acknowledges, drops, and counts it in its log."""
    site, count = attack.site, 300
    with (
        Script(site, site.login(site.thief)) as script,
        attack.held_to("behind what was denied", 50, DUPLICATE),
    ):
        answer = script.publish("replayed", count, own=False)
        # What follows on the same connection arrives, alone.
        attack.publish(script, "replayed", 50, own=True)
    assert (answer["published"], answer["acked"], answer["ended"]) == (count, count, "")
    log = site.broker.log.read_text()
    assert log.count(f"Denied PUBLISH from {site.own}") == log.count("Denied PUBLISH") == count


def flood(attack: Attack) -> None:
    """More than a device's allowance: taken for what it is at first, then no more looked into."""
    site = attack.site
    with (
        Script(site, site.login(site.thief)) as script,
        attack.held_to("flood", FLOOD, DUPLICATE | LIMITED),
    ):
        attack.publish(script, "replayed", FLOOD, own=True)
    counts = attack.verdicts["flood"]
    assert BURST <= counts["duplicate"] <= BURST + FLOOD_MINUTES * PER_MINUTE
    assert counts["rate_limited"] == FLOOD - counts["duplicate"]


def flood_of_a_board(attack: Attack) -> None:
    """In a board's name: the endpoint charges it to nobody, a careless broker to the board."""
    site = attack.site
    verdicts = MISMATCH if site.broker is None else DUPLICATE | LIMITED
    others = 0 if site.broker is None else 100
    with (
        Script(site, strongest(site)) as script,
        attack.held_to("flood of a board", FLOOD, verdicts, others=others),
    ):
        attack.publish(script, "replayed", FLOOD, own=False)
    assert site.broker is None or attack.verdicts["flood of a board"]["rate_limited"] > 0


# ---- what must hold


def run_attacked(
    site: Site, stages: list[Callable[[Attack], None]], pace: float
) -> tuple[FleetReport, Attack]:
    gate = Gate(site.capture)
    attack = Attack(site, gate, stages, pace)
    attack.start()
    try:
        report = simulate_over_mqtt(
            site.scenario, SEED, site.url, site.folder, gate.progress, record=site.record
        )
    finally:
        gate.end()
        attack.join(WAIT_S)
    if attack.error is not None:
        raise attack.error
    return report, attack


def check_honest(site: Site, report: FleetReport) -> None:
    """Every board's every message is stored, once, and nothing else is."""
    # The run's own refusals are none; the attackers' are all that this one counts.
    others = [one for one in report.failures if one.invariant != "only damage is refused"]
    assert others == []
    assert report.messages_dropped == report.signatures_cut == report.corruptions == 0
    sent = len(site.record.messages) - OWN_MESSAGES
    assert report.messages_durable == report.messages_signed == sent
    store = SqliteStore.open(site.folder / DATABASE, site.keys.network_id)
    stored = Counter(logged.data for logged in store.iterate())
    store.close()
    assert stored == Counter(one.data for one in site.record.messages.values())


def met_honest(attack: Attack) -> bool:
    """Were boards at work during each kind of attack? One message is over too soon to say."""
    kinds: Counter[str] = Counter()
    for name, count in attack.met.items():
        kinds[name.partition(",")[0]] += count
    return all(count for kind, count in kinds.items() if kind != "huge")


def refused(site: Site) -> Counter[str]:
    store = SqliteStore.open(site.folder / DATABASE, site.keys.network_id)
    counts = store.refused_counts()
    store.close()
    return Counter({verdict.name.lower(): count for verdict, count in counts.items()})


def tell(attack: Attack, report: FleetReport) -> None:
    lines = [f"{name}: {dict(counts)}" for name, counts in attack.verdicts.items()]
    lines += [f"published {attack.published}, {attack.bytes} bytes: {dict(attack.total)}"]
    met, signed = attack.met, report.messages_signed
    lines += [f"of {signed} honest messages {met.total()} meanwhile: {dict(met)}"]
    lines += [f"memory +{attack.grown_kb} KiB, at most +{attack.peak_kb} KiB"]
    lines += [f"resends {report.resends}; {report.transport}"]
    sys.stderr.write("\n".join(lines) + "\n")


@pytest.fixture(params=["endpoint", "mosquitto"])
def mosquitto(request: pytest.FixtureRequest, require_component: Callable[[str], str]) -> bool:
    require_component("mosquitto_pub")
    if request.param == "mosquitto":
        require_component("mosquitto")
    return request.param == "mosquitto"


@pytest.mark.slow
def test_everything_hostile_has_its_verdict_and_boards_lose_nothing(
    mosquitto: bool,  # noqa: FBT001
    tmp_path: Path,
):
    assert sum(2 * one.count for one in CLASSES) == ALL
    with site(tmp_path, NO_LIMITS, mosquitto=mosquitto) as attacked:
        stages = [*(partial(one_class, one) for one in CLASSES), by_mosquitto_pub, two_megabytes]
        stages += [denied_by_the_broker] if mosquitto else []
        report, attack = run_attacked(attacked, stages, PACE)
    tell(attack, report)
    assert attack.total.total() == attack.published > ALL
    assert refused(attacked) == attack.total
    assert attack.total.keys() <= {verdict.name.lower() for verdict in Verdict}
    assert attack.peak_kb * 1024 < MEMORY_BYTES_MAX < attack.bytes / 2
    assert met_honest(attack), attack.met
    check_honest(attacked, report)
    # In time, too: the day is worth what it would be without the attack.
    newest = report.epochs[-1]
    assert (newest.message_root, newest.payout_root) == settle_record(tmp_path, attacked.record)
    assert newest.paid > 0


@pytest.mark.slow
def test_a_flood_is_limited_and_boards_lose_nothing(
    mosquitto: bool,  # noqa: FBT001
    tmp_path: Path,
):
    with site(tmp_path, "", mosquitto=mosquitto) as attacked:
        attacked.overheard = 1
        report, attack = run_attacked(attacked, [flood, flood_of_a_board], FLOOD_PACE)
    tell(attack, report)
    # A board whose message was refused in the crowd has sent it again.
    honest = refused(attacked).total() - attack.published
    assert 0 <= honest <= report.resends
    assert attack.peak_kb * 1024 < MEMORY_BYTES_MAX
    assert met_honest(attack), attack.met
    check_honest(attacked, report)
