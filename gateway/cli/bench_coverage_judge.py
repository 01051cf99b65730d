"""Judges and pays a world of the coverage bench with the functions that close real epochs.

Rows go through the row rules, then coverage, place, class, slots and both pools. What stays out
is what needs messages: signatures, commits, entropy, deadlines of single reports.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from gateway.cli.bench_coverage_world import Air, Keys, Setting, cell_of, point, preset
from gateway.core.allocator import Share, allocate
from gateway.core.coverage.beacon import DELAY_FIRST_MS
from gateway.core.coverage.judge import judge_coverage
from gateway.core.coverage.model import Coverage, Heard, Member, Row, Sent, StationCoverage
from gateway.core.coverage.radio import RadioTables, parse_radio_tables
from gateway.core.coverage.regions import Region, parse_regions
from gateway.core.coverage.rows import LORA, Ground, RowJudge
from gateway.core.emission import emission
from gateway.core.geometry import Sphere
from gateway.core.rules import PPM, REWARD_RESOLUTION, Rules, parse_rules
from gateway.core.slots import SlotCandidate, StationClass, assign_slots
from gateway.core.tables import parse_trig
from gateway.shell.spec_files import read_spec

EPOCH = 0
ALL_HOURS = (1 << 24) - 1
_NO_MESSAGE = bytes(32)
_RECV_MS = 0


class Bench(NamedTuple):
    """The rules, tables and surroundings that all worlds of a seed share."""

    rules: Rules
    tables: RadioTables
    region: Region
    sphere: Sphere
    setting: Setting
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One world: stations, their day, and whatever an attack adds.

    The first stations are those that the day's arrays tell of; others have no radio. extra: rows
    that no receiver noted; extra_sent: beacons that nobody sent, by station.
    """

    keys: Keys
    air: Air
    extra: Sequence[Row] = ()
    extra_sent: Mapping[bytes, Sequence[Sent]] = field(default_factory=dict)


class Paid(NamedTuple):
    """What a station was paid of either pool, in base units."""

    coverage: int
    data: int


class Verifiable(NamedTuple):
    """What decides a station's share beside its place: class, v and usefulness in coverage."""

    station_class: StationClass
    v_ppm: int
    u_ppm: int


def open_bench(seed: int, surroundings: str = "town") -> Bench:
    """The committed rules and tables, with one of the simulator's presets."""
    rules = parse_rules(read_spec("rules/0001.toml"))
    region = parse_regions(read_spec("regions.toml"))[rules.coverage.region]
    return Bench(
        rules,
        parse_radio_tables(read_spec("tables/radio.csv")),
        region,
        Sphere(parse_trig(read_spec("tables/trig.csv"))),
        Setting(
            preset(surroundings),
            region.eirp_cdbm / 100,
            rules.coverage.beacon_every_slots,
            region.sensitivity_cdbm,
        ),
        seed,
    )


def members_of(case: Case) -> list[Member]:
    """The stations as coverage sees them: mains, in fine cells, each its own owner."""
    keys = case.keys
    return [
        Member(
            device=name,
            owner=name,
            net_tags=frozenset({name}),
            centre=point(keys.claim_m[i]),
            fine=True,
            mains=True,
            anchored=bool(keys.anchored[i]),
        )
        for i, name in enumerate(keys.names)
    ]


def tag_of(name: bytes, slot: int) -> bytes:
    """The tag of a beacon: as good as random to everybody, and different for every beacon."""
    return name[:12] + slot.to_bytes(4, "big")


def sent_by(case: Case, bench: Bench) -> dict[bytes, Sequence[Sent]]:
    """All beacons of the day, by station."""
    air, channels = case.air, len(bench.region.frequencies_khz)
    return dict(case.extra_sent) | {
        name: [
            Sent(
                beaconer=name,
                slot=slot,
                delay_ms=DELAY_FIRST_MS,
                channel=slot % channels,
                power_cdbm=power,
                tag=tag_of(name, slot),
            )
            for slot, power in zip(air.slots[i].tolist(), air.power_cdbm[i].tolist(), strict=True)
            if slot >= 0
        ]
        for i, name in enumerate(case.keys.names)
        if i < len(air.slots) and (air.slots[i] >= 0).any()
    }


def rows_of(case: Case, bench: Bench) -> list[Row]:
    """What all witnesses report, each row with the SNR that belongs to its level."""
    air, names = case.air, case.keys.names
    beaconers, witnesses, beacons = (index.tolist() for index in np.nonzero(air.heard))
    levels = air.rssi_cdbm[air.heard].tolist()
    slots = air.slots.tolist()
    return [
        honest_row(names[witness], names[beaconer], slots[beaconer][beacon], level, bench.region)
        for beaconer, witness, beacon, level in zip(
            beaconers, witnesses, beacons, levels, strict=True
        )
    ] + list(case.extra)


def honest_row(witness: bytes, beaconer: bytes, slot: int, rssi_cdbm: int, region: Region) -> Row:
    """A row as a sound receiver writes it; at most 13 dB of SNR, as chips report."""
    return Row(
        witness=witness,
        message_id=_NO_MESSAGE,
        recv_ms=_RECV_MS,
        radio=LORA,
        slot=slot,
        tag=tag_of(beaconer, slot),
        rssi_cdbm=rssi_cdbm,
        snr_cdb=max(min(rssi_cdbm - region.noise_floor_cdbm, 1_300), -1_250),
        channel=slot % len(region.frequencies_khz),
        delay_ms=DELAY_FIRST_MS,
    )


def judged_rows(case: Case, bench: Bench) -> tuple[Heard, ...]:
    """Every row with its verdict."""
    ground = Ground(
        {member.device: member for member in members_of(case)},
        bench.region,
        bench.tables,
        bench.sphere.distance_m,
        bench.rules,
    )
    every = (beacon for beacons in sent_by(case, bench).values() for beacon in beacons)
    return RowJudge(EPOCH, every, ground).judge_all(rows_of(case, bench))


def judge(case: Case, bench: Bench) -> tuple[Coverage, tuple[Heard, ...]]:
    """The coverage of the day, and the rows that it came from."""
    heard = judged_rows(case, bench)
    listening = {
        name: ALL_HOURS
        for name, listens in zip(case.keys.names, case.keys.listens, strict=True)
        if listens
    }
    coverage = judge_coverage(
        members_of(case),
        sent_by(case, bench),
        heard,
        listening,
        frozenset(),
        bench.sphere.distance_m,
        bench.rules,
        bench.tables,
    )
    return coverage, heard


def verifiable(case: Case, coverage: Coverage, bench: Bench) -> dict[bytes, Verifiable]:
    """What this day's evidence is worth; an audit counts whatever the radio says."""
    anchored = {
        name
        for name, is_anchor in zip(case.keys.names, case.keys.anchored, strict=True)
        if is_anchor
    }
    full_ppm = bench.rules.verifiability.anchored_ppm
    return {
        one.device: Verifiable(StationClass.WITNESSED, full_ppm, one.u_ppm)
        if one.device in anchored
        else Verifiable(one.station_class, one.v_ppm, one.u_ppm)
        for one in coverage.stations
    }


def pay(
    case: Case,
    proven: Mapping[bytes, Verifiable],
    bench: Bench,
    co_located: frozenset[tuple[bytes, bytes]] = frozenset(),
) -> dict[bytes, Paid]:
    """What every station is paid of one epoch's emission, its data being of full quality.

    All stations are equally senior; slots go by class, then by id.
    """
    rules = bench.rules
    pool = emission(0, rules.emission.schedule)
    coverage_pool = pool * rules.coverage.pool_ppm // PPM
    candidates = [
        SlotCandidate(name, point(place), proven[name].station_class, 0)
        for name, place in zip(case.keys.names, case.keys.claim_m, strict=True)
    ]
    slots = assign_slots(
        candidates, rules.slots.distance_min_m, bench.sphere.distance_m, co_located
    )
    cells = {
        name: cell_of(place, REWARD_RESOLUTION)
        for name, place in zip(case.keys.names, case.keys.claim_m, strict=True)
    }

    def part(offered: int, u_ppm: Callable[[Verifiable], int], rate_cap: int) -> dict[bytes, int]:
        allocation = replace(rules.allocation, rate_cap=rate_cap)
        shares = [
            Share(
                name,
                cells[name],
                allocation.weight(cells[name]),
                u_ppm(proven[name]),
                proven[name].station_class is StationClass.UNPROVEN,
            )
            for name in case.keys.names
            if slots[name].holder
        ]
        return {name: one.pay for name, one in allocate(offered, shares, allocation).items()}

    data = part(pool - coverage_pool, lambda one: one.v_ppm, rules.allocation.rate_cap)
    heard = part(coverage_pool, lambda one: one.u_ppm * one.v_ppm // PPM, rules.coverage.rate_cap)
    return {name: Paid(heard.get(name, 0), data.get(name, 0)) for name in case.keys.names}


def pool_of(bench: Bench) -> int:
    """Both pools of an epoch."""
    return emission(0, bench.rules.emission.schedule)


def by_device(coverage: Coverage) -> dict[bytes, StationCoverage]:
    """The stations of a coverage by id."""
    return {one.device: one for one in coverage.stations}
