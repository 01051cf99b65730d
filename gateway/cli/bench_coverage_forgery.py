"""What the attackers of the coverage bench write into reports, and what a second sender adds.

A forger knows the propagation of the world itself: his levels are drawn as true ones would be.
"""

from collections.abc import Sequence

import numpy as np

from gateway.cli.bench_coverage_judge import Bench, Case, honest_row, tag_of
from gateway.cli.bench_coverage_world import (
    DAY_SLOTS,
    Air,
    Array,
    Flags,
    Ints,
    Keys,
    claimed_distances_m,
    forged_rssi,
)
from gateway.core.coverage.beacon import DELAY_FIRST_MS
from gateway.core.coverage.model import Row, Sent
from gateway.core.coverage.radio import free_space_loss_cdb
from simulator.radio import generator_of, path_loss_db, receive

GRIEF_LOUD, GRIEF_FAINT, GRIEF_SILENT = "grief_loud", "grief_faint", "grief_silent"


def forge_as_witness(keys: Keys, air: Air, witnesses: Sequence[int], bench: Bench) -> None:
    """Replace the levels that these report by what their claimed places would give."""
    rng = generator_of(bench.seed, "bench", "forge")
    apart = claimed_distances_m(keys)
    for witness in witnesses:
        for beaconer in range(len(air.slots)):
            if air.heard[beaconer, witness].any():
                audible, rssi = forged_rssi(
                    bench.setting, air.power_cdbm[beaconer], apart[beaconer, witness], rng
                )
                air.heard[beaconer, witness] &= audible
                air.rssi_cdbm[beaconer, witness] = rssi


def vouch(keys: Keys, air: Air, beaconer: int, witnesses: Sequence[int], bench: Bench) -> None:
    """Let accomplices report a beaconer as if it stood at its claim: the tags they are told."""
    rng = generator_of(bench.seed, "bench", "vouch", beaconer)
    for witness in witnesses:
        apart = float(np.hypot(*(keys.claim_m[beaconer] - keys.claim_m[witness])))
        audible, rssi = forged_rssi(bench.setting, air.power_cdbm[beaconer], apart, rng)
        air.heard[beaconer, witness] = audible & (air.slots[beaconer] >= 0)
        air.rssi_cdbm[beaconer, witness] = rssi


def also_from(keys: Keys, air: Air, row: int, place: Array, bench: Bench, *, louder: bool) -> None:
    """Let a station's beacons be sent from a second place too.

    A witness notes one copy: the louder one, or else the first, which is that of the station.
    """
    setting = bench.setting
    loss = path_loss_db(setting.propagation, np.vstack([keys.true_m, place[None]]), bench.seed)
    second = receive(
        setting.propagation,
        np.broadcast_to(loss[-1, :-1, None], air.heard[row].shape),
        air.power_cdbm[row][None, :] / 100,
        generator_of(bench.seed, "bench", "second", row),
        gain_db=keys.gain_db[:, None],
    )
    heard: Flags = second.heard & (air.slots[row] >= 0)[None, :]
    heard[row] = False
    level: Ints = np.maximum(
        np.round(second.rssi_dbm * 100).astype(np.int64), setting.sensitivity_cdbm
    )
    taken = heard & ~air.heard[row]
    if louder:
        taken |= heard & (level > air.rssi_cdbm[row])
    air.rssi_cdbm[row] = np.where(taken, level, air.rssi_cdbm[row])
    air.heard[row] |= heard


def made_up(
    keys: Keys, rows: Sequence[int], apart_m: float, bench: Bench
) -> tuple[dict[bytes, list[Sent]], tuple[Row, ...]]:
    """Beacons that nobody sent, and what each key's neighbour, so far away, says of them."""
    rng = generator_of(bench.seed, "bench", "made up")
    channels, setting = len(bench.region.frequencies_khz), bench.setting
    sent: dict[bytes, list[Sent]] = {}
    reports = []
    for row in rows:
        # The last of an odd number has nobody.
        other_row = min(row + 1, rows[-1]) if (row - rows[0]) % 2 == 0 else row - 1
        name, other = keys.names[row], keys.names[other_row]
        slots = np.unique(rng.integers(0, DAY_SLOTS, DAY_SLOTS // setting.beacon_every_slots))
        power = np.full(slots.shape, round(setting.eirp_dbm * 100), dtype=np.int64)
        audible, rssi = forged_rssi(setting, power, apart_m, rng)
        sent[name] = [
            Sent(name, slot, DELAY_FIRST_MS, slot % channels, int(power[0]), tag_of(name, slot))
            for slot in slots.tolist()
        ]
        reports += [
            honest_row(other, name, slot, level, bench.region)
            for slot, level in zip(slots[audible].tolist(), rssi[audible].tolist(), strict=True)
        ]
    return sent, tuple(reports)


def replayed(case: Case, row: int, town: Keys, bench: Bench) -> tuple[Row, ...]:
    """What the nearest station reported the day before, sent as one's own of today."""
    air, names = case.air, case.keys.names
    model = int(np.argmin(np.hypot(*(town.claim_m - case.keys.claim_m[row]).T)))
    rows = []
    for beaconer, beacon in zip(*np.nonzero(air.heard[:, model]), strict=True):
        slot, level = int(air.slots[beaconer, beacon]), int(air.rssi_cdbm[beaconer, model, beacon])
        old = honest_row(names[row], names[beaconer], slot + DAY_SLOTS, level, bench.region)
        rows.append(old._replace(slot=slot))
    return tuple(rows)


def speak_ill(keys: Keys, air: Air, link: tuple[int, int], how: str, bench: Bench) -> None:
    """Let the witness of a link, (beaconer, witness), say the worst of what it heard."""
    victim, witness = link
    if how == GRIEF_SILENT:
        air.heard[victim, witness] = False
    elif how == GRIEF_FAINT:
        air.rssi_cdbm[victim, witness] = bench.setting.sensitivity_cdbm
    else:
        apart_m = int(np.hypot(*(keys.claim_m[victim] - keys.claim_m[witness])))
        loss = free_space_loss_cdb(apart_m, bench.region.frequency_khz, bench.tables)
        air.rssi_cdbm[victim, witness] = air.power_cdbm[victim] - loss
