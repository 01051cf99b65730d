"""A made-up radio day for coverage tests: members on a plane, beacons, rows, links."""

from hashlib import sha256
from pathlib import Path

from gateway.core.coverage.beacon import beacon_plan, beacons_of_day
from gateway.core.coverage.model import Heard, Link, Member, Row
from gateway.core.coverage.radio import parse_radio_tables
from gateway.core.coverage.regions import parse_regions
from gateway.core.coverage.rows import Ground
from gateway.core.genesis import DAY_MS
from gateway.core.geometry import Sphere
from gateway.core.rules import parse_rules
from gateway.core.tables import parse_trig
from gateway.core.verdicts import Verdict

SPEC = Path(__file__).resolve().parents[4] / "spec"
RULES = parse_rules((SPEC / "rules" / "0001.toml").read_bytes())
TABLES = parse_radio_tables((SPEC / "tables" / "radio.csv").read_bytes())
REGIONS_TEXT = (SPEC / "regions.toml").read_bytes()
REGION = parse_regions(REGIONS_TEXT)["EU868"]
SPHERE = Sphere(parse_trig((SPEC / "tables" / "trig.csv").read_bytes()))
NETWORK = b"network!"
DAY = 20_000
FIRST_SLOT = DAY * 1440
END_MS = (DAY + 1) * DAY_MS
HOUR_MS = 3_600_000
PPM = 1_000_000
# Metres to 1e-6 degree of latitude, near enough for places in tests.
E6_PER_KM = 8_993
PLACE = (47_000_000, 8_000_000)
ENTROPY = {
    slot: sha256(b"entropy %d" % slot).digest() for slot in range(FIRST_SLOT, FIRST_SLOT + 1440)
}
PLAN = beacon_plan(RULES.coverage, REGION)


def device_of(label):
    return sha256(label.encode()).digest()[:16]


def member(label, north_km=0.0, east_km=0.0, **changes):
    """A fine mains station of an owner and a network of its own."""
    digest = sha256(label.encode()).digest()
    east_e6 = round(east_km * E6_PER_KM / 0.682)
    fields = Member(
        device=digest[:16],
        owner=digest[:20],
        net_tags=frozenset({digest[:8]}),
        centre=(PLACE[0] + round(north_km * E6_PER_KM), PLACE[1] + east_e6),
        fine=True,
        mains=True,
        anchored=False,
    )
    return fields._replace(**changes)


def secret_of(device):
    return sha256(b"secret" + device).digest()


def sent_of(device):
    return beacons_of_day(secret_of(device), NETWORK, device, ENTROPY, PLAN)


def ground(*members):
    return Ground({one.device: one for one in members}, REGION, TABLES, SPHERE.distance_m, RULES)


def row(witness, sent, loss_cdb=11_000, **changes):
    """A flawless row about a beacon over `loss_cdb` of path loss."""
    rssi_cdbm = sent.power_cdbm - loss_cdb
    fields = Row(
        witness=witness,
        message_id=sha256(b"report" + witness).digest(),
        recv_ms=END_MS,
        radio=0,
        slot=sent.slot,
        tag=sent.tag,
        rssi_cdbm=rssi_cdbm,
        snr_cdb=min(1_000, rssi_cdbm - REGION.noise_floor_cdbm),
        channel=sent.channel,
        delay_ms=sent.delay_ms,
    )
    return fields._replace(**changes)


def heard(witness, sent, loss_cdb=11_000, **changes):
    one = row(witness, sent, loss_cdb, **changes)
    return Heard(one, sent.beaconer, sent.power_cdbm, Verdict.HEARD)


def mean_loss_cdb(a, b):
    """The path loss of the place model's mean exponent between two members."""
    from math import log10

    metres = max(200, SPHERE.distance_m(a.centre, b.centre))
    return 3_122 + round(2_700 * log10(metres))


def link(beaconer, witness, **changes):
    """A link as measured: 10 beacons heard with the mean loss of their distance."""
    fields = Link(
        beaconer=beaconer.device,
        witness=witness.device,
        radio=0,
        heard=10,
        silent=0,
        excess_cdb=-mean_loss_cdb(beaconer, witness),
        distance_m=SPHERE.distance_m(beaconer.centre, witness.centre),
        verdict=Verdict.HEARD,
        weight_ppm=0,
    )
    return fields._replace(**changes)


def mesh(*members, reach_m=8_000):
    """Links in both directions between all members that are close enough."""
    return [
        link(a, b)
        for a in members
        for b in members
        if a is not b and SPHERE.distance_m(a.centre, b.centre) <= reach_m
    ]


def city():
    """Two anchors of one owner and seven other stations within 5 km."""
    anchors = [
        member(f"anchor {k}", north_km=2 * k, east_km=1, anchored=True, owner=b"o" * 20)
        for k in range(2)
    ]
    others = [member(f"s{k}", north_km=k % 3 * 1.5, east_km=k // 3 * 1.7) for k in range(7)]
    return [*anchors, *others]


def slots_of(links):
    """heard_beacons for judge_links: each heard link heard as many beacons, from slot 0 on."""
    by_slot: dict[bytes, dict[int, set[bytes]]] = {}
    for one in links:
        for slot in range(one.heard):
            by_slot.setdefault(one.beaconer, {}).setdefault(slot, set()).add(one.witness)
    return {
        beaconer: {slot: frozenset(witnesses) for slot, witnesses in slots.items()}
        for beaconer, slots in by_slot.items()
    }


def findings_of(station):
    return {one.verdict: one.count for one in station.findings}
