"""What a board says of its program changes neither its seniority, its proof nor its pay.

Three stations over three days, one of them anchored. In one run boards take two releases, one of
which fails on a board; in the other they only start again.
"""

from dataclasses import asdict
from pathlib import Path

import pytest

from gateway.core.admission import Arrival
from gateway.core.genesis import DAY_MS
from gateway.core.operator import OperatorKind
from gateway.core.state import decode_state
from gateway.core.station_table import decode_stations
from gateway.core.verdicts import Verdict
from tests.service.gateway_rig import EPOCH, OWNER, START, network, open_gateway
from tests.service.signing_station import CELL, SigningStation

FAR_CELL = 0x89194AD14D7FFFF  # in London
DAYS = 3
EVERY_MS = 300_000
EXAMPLES = {"samples", "examples"}
QUIET = ["cairn 0.1.0"] * 3
RELEASED = {
    0: ["cairn 0.1.0 r0", "cairn 0.2.0 r7", "cairn 0.3.0 r8"],
    1: ["cairn 0.1.0 r0", "cairn 0.2.0 r7", "cairn 0.2.0 r7 x8"],
    2: ["cairn 0.1.0", "some other program", "cairn 0.1.0 r0"],
}


def run(folder: Path, said: dict[int, list[str]]):
    """Outcome tables and closing states of every day. said: hello texts of each station."""
    keys = network(folder)
    gateway = open_gateway(keys)
    stations = [
        SigningStation(n, keys.network_id, c) for n, c in enumerate((CELL, CELL, FAR_CELL))
    ]
    gateway.operate(OperatorKind.ANCHOR, [stations[0].device, 1], START)
    restarts = [START, START + DAY_MS // 2, START + DAY_MS + DAY_MS // 3]
    for time_ms in range(START, START + DAYS * DAY_MS, EVERY_MS):
        arrivals = []
        for number, station in enumerate(stations):
            if time_ms in restarts:
                text = said[number][restarts.index(time_ms)]
                arrivals.append(Arrival(None, station.hello(time_ms, text)))
            if time_ms == START:
                arrivals.append(Arrival(None, station.claim(time_ms, OWNER)))
            reading = station.reading(time_ms, 1_000 + (number + time_ms // EVERY_MS) % 50)
            arrivals.append(Arrival(None, reading))
        judged = gateway.deliver(arrivals, time_ms + 1_000)
        assert {one.verdict for one in judged} == {Verdict.OK}
    gateway.advance(START + (DAYS + 1) * DAY_MS)
    stored = [gateway.store.epoch(EPOCH + day) for day in range(DAYS)]
    gateway.close()
    return stored


def without_ids(row) -> dict:
    """A row, but for the messages that are named in it as examples."""

    def bare(value):
        if isinstance(value, dict):
            kept = {name: one for name, one in value.items() if name not in EXAMPLES}
            return {name: bare(one) for name, one in kept.items()}
        if isinstance(value, list | tuple):
            return [bare(one) for one in value]
        return value

    return bare(asdict(row))


@pytest.mark.slow
def test_releases_are_neutral(tmp_path: Path):
    quiet = run(tmp_path / "quiet", dict.fromkeys(range(3), QUIET))
    released = run(tmp_path / "released", RELEASED)
    paid = 0
    for before, after in zip(quiet, released, strict=True):
        assert before is not None
        assert after is not None
        # Ids are of other bytes; nothing that was judged is.
        assert before.manifest != after.manifest
        rows = [decode_stations(one.outcome) for one in (before, after)]
        assert [without_ids(row) for row in rows[0]] == [without_ids(row) for row in rows[1]]
        paid += sum(row.paid for row in rows[0])
        states = [decode_state(one.closing) for one in (before, after)]
        assert states[0].stations == states[1].stations
    assert paid > 0
    assert any(state.since_epoch is not None for state in states[0].stations.values())
