"""A day of a village with radios: beacons, witnesses, secrets revealed, and the same over MQTT."""

import dataclasses
from collections import Counter

import pytest

from gateway.core.coverage.table import decode_coverage
from gateway.core.model import Kind
from gateway.core.verdicts import Verdict
from gateway.shell.network import DATABASE, load_network
from gateway.shell.store.sqlite import SqliteStore
from simulator.door import settle_record, stored_entries
from simulator.fleet import run_fleet, run_fleet_over_mqtt
from simulator.liars import Liars
from simulator.places import Town
from simulator.record import Record
from simulator.scenario import FleetOptions, RadioOptions, ScenarioInvalid
from tests.simulation.audits import audit_all
from tests.simulation.gateways import driven_gateway
from tests.simulation.test_over_mqtt import fleet as over_mqtt

SEED = 5
STATIONS = 8


@pytest.fixture(scope="module")
def radio_village(calm_village):
    return dataclasses.replace(
        calm_village,
        fleet=FleetOptions(stations=STATIONS, anchored=3, sample_interval_s=600),
        town=Town(radius_m=1_500, spacing_m=500),
        radio=RadioOptions(region="EU868"),
    )


@pytest.fixture(scope="module")
def day(radio_village, tmp_path_factory):
    """Report, kinds of what is stored by device, and coverage of one run in process."""
    folder = tmp_path_factory.mktemp("radio") / "network"
    report = run_fleet(radio_village, SEED, folder)
    return report, *looked_at(folder), folder


def looked_at(folder):
    store = SqliteStore.open(folder / DATABASE, load_network(folder).network_id)
    kinds = Counter()
    for entry in stored_entries(store):
        kinds[entry.device, entry.kind] += 1
    [epoch] = [store.epoch(number) for number in store.epoch_numbers()]
    store.close()
    return kinds, decode_coverage(epoch.coverage)


def of_kind(kinds, kind):
    return [count for (_, one), count in sorted(kinds.items()) if one == kind]


def test_every_promise_holds(day):
    report, _, _, folder = day
    assert report.failures == ()
    assert (report.rejected, report.deferred) == (0, 0)
    assert report.messages_durable == report.messages_signed
    assert audit_all(folder).ok


def test_every_station_commits_witnesses_and_reveals(day):
    _, kinds, _, _ = day
    # For the day before the run, its own and the next.
    assert all(count >= 3 for count in of_kind(kinds, Kind.COMMIT))
    assert len(of_kind(kinds, Kind.COMMIT)) == STATIONS
    assert all(count >= 20 for count in of_kind(kinds, Kind.WITNESS))
    assert of_kind(kinds, Kind.BEACON) == [1] * STATIONS
    assert len(of_kind(kinds, Kind.REVEAL)) == STATIONS


def test_beacons_are_heard_and_counted(day):
    _, _, coverage, _ = day
    assert len(coverage.stations) == STATIONS
    for station in coverage.stations:
        # One slot in 120 of 1,440: 12 in the mean.
        assert 3 <= station.expected <= 26
        assert not station.unrevealed
        assert station.listening_hours >= 12
    heard = sum(station.heard for station in coverage.stations)
    assert heard >= 0.9 * sum(station.expected for station in coverage.stations)
    assert max(station.witnesses for station in coverage.stations) == STATIONS - 1


def test_the_day_is_reproducible(day, radio_village, tmp_path):
    assert run_fleet(radio_village, SEED, tmp_path / "again").digest == day[0].digest


@pytest.mark.slow
def test_over_mqtt_the_same_beacons_are_heard(day, radio_village, tmp_path):
    folder, record = tmp_path / "network", Record()
    with driven_gateway(folder, radio_village.start_ms, SEED) as child:
        report = over_mqtt(radio_village, folder, child.addresses.mqtt, record=record)
    assert report.failures == ()
    assert (report.rejected, report.deferred, report.resends) == (0, 0, 0)
    # Every slot of the two hours before the day and of the day.
    assert report.transport.slots >= 1_440 + 120
    assert report.transport.stalled_slots == 0
    kinds, coverage = looked_at(folder)
    for kind in (Kind.BEACON, Kind.REVEAL):
        assert of_kind(kinds, kind) == of_kind(day[1], kind)
    for station, inside in zip(coverage.stations, day[2].stations, strict=True):
        assert station.expected >= 3
        assert station.heard >= 0.9 * station.expected
        assert station.listening_hours >= 12
        assert station.unrevealed is inside.unrevealed is False
    [epoch] = report.epochs
    assert settle_record(folder, record) == (epoch.message_root, epoch.payout_root)


def test_lies_come_through_as_signed_messages(radio_village, tmp_path):
    liars = Liars(unproven_keys=1, rssi_forgery=1, key_clone=1, backfill=1)
    scenario = dataclasses.replace(
        radio_village,
        fleet=dataclasses.replace(radio_village.fleet, stations=STATIONS + 5),
        town=Town(radius_m=2_500, spacing_m=500),
        liars=liars,
    )
    report = run_fleet(scenario, SEED, tmp_path / "network")
    assert report.failures == ()
    assert Counter(liar.attack for liar in report.liars) == {
        "unproven_keys": 1,
        "rssi_forgery": 1,
        "key_clone": 2,
        "backfill": 1,
    }
    kinds, coverage = looked_at(tmp_path / "network")
    by_attack = {liar.attack: bytes.fromhex(liar.device) for liar in report.liars}
    assert kinds[by_attack["unproven_keys"], Kind.COMMIT] == 0
    assert kinds[by_attack["rssi_forgery"], Kind.WITNESS] > 0
    assert kinds[by_attack["key_clone"], Kind.HELLO] == 2
    stations = {station.device: station for station in coverage.stations}
    assert stations[by_attack["rssi_forgery"]].heard == 0
    assert Verdict.NO_COMMIT in {
        finding.verdict for finding in stations[by_attack["unproven_keys"]].findings
    }


def test_a_broker_carries_no_cloned_keys(radio_village):
    scenario = dataclasses.replace(radio_village, liars=Liars(key_clone=1))
    with pytest.raises(ScenarioInvalid, match="in one process only"):
        run_fleet_over_mqtt(scenario, SEED, (None, None), None)
