"""Whatever the network, the power and the gateway do: nothing receipted is lost, nothing counts
twice, and what fills the flash is dropped with a signed gap.
"""

import dataclasses
import os

import pytest

from simulator.network import Faults
from simulator.places import Town
from simulator.scenario import ScenarioInvalid, load_scenario
from tests.simulation.audits import audit_all

NIGHTLY_SEEDS = int(os.environ.get("CAIRN_SEEDS", "200"))


def swarm(seed, scenario):
    """Each class of fault on or off by the seed's bits: absent faults show what others hide."""
    faults = scenario.faults
    keep = {
        field.name: getattr(faults, field.name)
        for bit, field in enumerate(dataclasses.fields(faults))
        if seed >> bit & 1 or field.default == getattr(faults, field.name)
    }
    return dataclasses.replace(scenario, faults=Faults(**keep))


@pytest.mark.parametrize("seed", range(1, 7))
def test_promises_hold_under_every_fault(run, village, seed):
    report = run(village, seed)
    assert report.failures == (), report.replay
    assert report.gateway_crashes == 2
    assert report.corruptions == report.rejected > 0
    assert report.messages_durable + report.messages_dropped == report.messages_signed
    assert report.duplicates > 0
    assert report.resends > 0


def test_a_quiet_network_delivers_everything_once(run, calm_village):
    report = run(calm_village, 1)
    assert report.failures == ()
    assert report.messages_durable == report.messages_signed
    assert (report.rejected, report.deferred, report.duplicates, report.resends) == (0, 0, 0, 0)
    assert (report.messages_dropped, report.board_restarts, report.gateway_crashes) == (0, 0, 0)


def test_full_flash_drops_with_a_gap_and_loses_nothing_else(run, village):
    # Cut off for 20 hours with room for some 250 messages of the thousand that are made.
    fleet = dataclasses.replace(
        village.fleet, sample_interval_s=60, samples_per_message=1, outbox_bytes_max=65_536
    )
    faults = Faults(partitions=1, partition_minutes=1_200, partition_stations_ppm=500_000)
    report = run(dataclasses.replace(village, fleet=fleet, faults=faults), 2)
    assert report.failures == ()
    assert report.messages_dropped > 500
    assert report.messages_durable == report.messages_signed - report.messages_dropped


@pytest.mark.slow
def test_days_cut_off_with_power_cuts_drain_and_audit(run, village, tmp_path):
    fleet = dataclasses.replace(
        village.fleet, sample_interval_s=300, samples_per_message=1, outbox_bytes_max=65_536
    )
    faults = Faults(
        from_minute=60,
        drop_ppm=20_000,
        partitions=1,
        partition_minutes=3 * 1_440,
        partition_stations_ppm=500_000,
        power_cut_ppm_per_day=600_000,
    )
    report = run(dataclasses.replace(village, fleet=fleet, faults=faults, days=4), 3)
    assert report.failures == (), report.replay
    assert report.board_restarts > 5
    assert report.messages_dropped > 500
    assert report.messages_durable == report.messages_signed - report.messages_dropped
    assert audit_all(tmp_path / "network").ok


@pytest.mark.slow
def test_storm_holds_for_two_epochs(run):
    report = run(load_scenario("storm"), 1)
    assert report.failures == (), report.replay
    assert len(report.epochs) == 2
    assert report.epochs[1].carry_before == report.epochs[0].carry_after > 0
    assert report.gateway_crashes > 4
    assert report.board_restarts > 40


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1_000, 1_000 + NIGHTLY_SEEDS))
def test_promises_hold_for_many_seeds(run, village, seed):
    report = run(swarm(seed, village), seed)
    assert report.failures == (), f"{report.replay} with faults {swarm(seed, village).faults}"


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(10))
def test_storm_holds_for_many_seeds(run, seed):
    report = run(load_scenario("storm"), seed)
    assert report.failures == (), report.replay


def test_a_town_too_small_is_named_before_anything_is_written(run, village, tmp_path):
    crowded = dataclasses.replace(village, town=Town(radius_m=300, spacing_m=900))
    with pytest.raises(ScenarioInvalid, match="village: station 2 finds no spot"):
        run(crowded, 1)
    assert list(tmp_path.iterdir()) == []
