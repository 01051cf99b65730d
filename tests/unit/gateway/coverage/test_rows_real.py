"""The level and SNR rules on real receptions: hotspots that report the signal's level, as our
boards must. The data is not ours to ship; the synthetic twin always runs.
"""

import csv
import gzip
from random import Random

import pytest

from gateway.core.coverage.rows import RowJudge
from gateway.core.verdicts import Verdict
from tests.unit.gateway.coverage.coverage_kit import DAY, ground, member, row, sent_of

BEACONER, WITNESS = member("beaconer"), member("witness", north_km=0.2)
SENT = sent_of(BEACONER.device)


def refused_of(receptions):
    """Share of (level, snr) pairs in cdBm and cdB that a row of SF9 would be refused for."""
    rules = RowJudge(DAY, SENT, ground(BEACONER, WITNESS))
    rows = [
        row(
            WITNESS.device,
            SENT[0],
            message_id=k.to_bytes(32, "big"),
            rssi_cdbm=rssi_cdbm,
            snr_cdb=snr_cdb,
        )
        for k, (rssi_cdbm, snr_cdb) in enumerate(receptions)
    ]
    refused = 0
    for one in rows:
        # Each alone: the same beacon is not heard twice.
        (found,) = RowJudge(DAY, SENT, rules.ground).judge_all([one])
        refused += found.verdict is not Verdict.HEARD
    return refused / len(rows)


def test_real_receptions_at_sf9_pass(shared_data):
    path = shared_data / "campusiot" / "campusiot_links.csv.gz"
    if not path.is_file():
        pytest.skip(f"shared data absent: no {path.name}")
    with gzip.open(path, "rt") as text:
        receptions = [
            (round(100 * float(one["rssi"])), round(100 * float(one["snr"])))
            for one in csv.DictReader(text)
            if one["src"] == "Helium" and one["sf"] == "SF9BW125" and one["rssi"] and one["snr"]
        ]
    assert len(receptions) > 1_000
    assert refused_of(receptions) < 0.01


def test_made_up_receptions_pass_and_forged_ones_do_not():
    random = Random(9)
    honest, forged = [], []
    for _ in range(500):
        # 0 to 20 dB of noise from outside above the receiver's own, a signal 12 below to 30 above.
        noise_cdbm = -11_700 + random.randrange(2_000)
        level_cdbm = noise_cdbm + random.randrange(-1_200, 3_000)
        honest.append((level_cdbm, min(1_400, level_cdbm - noise_cdbm)))
        # A level that would fit 10 km, with the ratio of a neighbour.
        forged.append((-12_500 + random.randrange(300), 800 + random.randrange(400)))
    assert refused_of(honest) == 0
    assert refused_of(forged) == 1
