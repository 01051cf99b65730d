"""The village with boards that store in batches and thin, as they do outside the simulator: the
scenarios themselves store every message at once, so that their digests stay what they are.
"""

import dataclasses
from functools import partial

import pytest
from cairn.config import Config

from simulator.network import Faults


def batched(**values):
    """The simulator's configuration of a station, but for one field."""
    return Config(**{**values, "store_every_ms": 60_000})


@pytest.mark.parametrize("seed", [1, 2])
def test_batches_survive_every_kind_of_fault(run, village, monkeypatch, seed):
    monkeypatch.setattr("simulator.run.Config", batched)
    report = run(village, seed)
    assert report.failures == (), report.replay
    assert report.board_restarts > 0
    assert report.messages_durable == report.messages_signed > 500


@pytest.mark.slow
def test_a_long_outage_is_thinned_where_messages_would_be_dropped(run, village, monkeypatch):
    fleet = dataclasses.replace(
        village.fleet, sample_interval_s=60, samples_per_message=1, outbox_bytes_max=65_536
    )
    faults = Faults(
        partitions=1,
        partition_minutes=1_200,
        partition_stations_ppm=500_000,
        power_cut_ppm_per_day=600_000,
    )
    start = partial(run, dataclasses.replace(village, fleet=fleet, faults=faults), 2)
    plain = start("plain")
    monkeypatch.setattr("simulator.run.Config", batched)
    thinned = start("thinned")
    assert plain.failures == thinned.failures == ()
    assert plain.messages_dropped > 1_000
    assert thinned.messages_dropped == 0
    assert thinned.messages_durable == thinned.messages_signed
    assert thinned.board_restarts > 0
