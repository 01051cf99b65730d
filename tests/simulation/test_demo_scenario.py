"""The demo scenario meets the bars that its command checks, with something to show for each."""

import statistics

import pytest

from gateway.core.slots import StationClass
from gateway.core.station_table import decode_stations
from gateway.core.verdicts import Verdict
from gateway.shell.network import DATABASE, load_network
from gateway.shell.store.sqlite import SqliteStore
from simulator.fleet import run_fleet
from simulator.scenario import load_scenario

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Report and station rows of one run; what progress was told."""
    folder = tmp_path_factory.mktemp("demo") / "network"
    seen = []
    report = run_fleet(load_scenario("demo"), 1, folder, lambda *step: seen.append(step))
    store = SqliteStore.open(folder / DATABASE, load_network(folder).network_id)
    rows = decode_stations(store.epoch(store.epoch_numbers()[-1]).outcome)
    store.close()
    return report, rows, seen


def test_nothing_is_lost(demo):
    report, _, _ = demo
    assert report.failures == ()
    assert report.stations == 100
    assert report.messages_signed > 10_000
    assert report.messages_durable == report.messages_signed
    assert report.messages_dropped == 0


def test_every_kind_of_fault_took_place(demo):
    report, _, _ = demo
    assert report.rejected == report.corruptions > 0
    assert report.deferred == 0
    assert report.gateway_crashes == 1
    assert report.board_restarts > 0
    assert report.duplicates > 0
    assert report.resends > 0


def test_stations_show_each_outcome(demo):
    report, rows, _ = demo
    assert len(rows) == 100
    liars = {bytes.fromhex(liar.device) for liar in report.liars}
    honest = [row for row in rows if row.device not in liars]
    # Witnessed: ten anchored ones, and whoever enough others hear.
    assert sum(row.station_class is StationClass.WITNESSED for row in honest) > 80
    assert sum(row.paid > 0 for row in honest) > 60
    assert len({row.reward_cell for row in rows}) >= 2
    reasons = {row.reason for row in rows}
    assert {Verdict.STANDBY_DISTANCE, Verdict.NO_OWNER} <= reasons
    assert sum(row.held > 0 for row in rows) in {1, 2}
    assert any(row.quality_ppm < 900_000 for row in honest), "no broken sensor shows"
    [epoch] = report.epochs
    assert epoch.paid + epoch.carry_after == epoch.emission + epoch.carry_before


def test_three_in_a_hundred_lie_and_it_does_not_pay(demo):
    report, rows, _ = demo
    assert sorted(liar.attack for liar in report.liars) == [
        "clone_neighbour",
        "location_lie_10km",
        "rssi_forgery",
    ]
    paid = {row.device: row.paid for row in rows}
    liars = {bytes.fromhex(liar.device): liar for liar in report.liars}
    usual = statistics.median(
        amount for device, amount in paid.items() if device not in liars and amount
    )
    for device, liar in liars.items():
        assert paid[device] < usual // 10, liar.attack


def test_progress_is_told_steadily(demo):
    _, _, seen = demo
    times = [ms for ms, _ in seen]
    assert times == sorted(times)
    assert len(times) > 100
    assert seen[-1][1] > 10_000
