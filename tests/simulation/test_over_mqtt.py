"""The same fleets over real sockets: a gateway in another process, its own endpoint or Mosquitto.

Faults of the network and of the power as in process; here gateway and broker die for real.
"""

import dataclasses
import socket
import time

import pytest
from cairn.mqttlink import MqttLink
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.fleet_run import replay_over_mqtt, simulate_over_mqtt
from gateway.core.model import Kind
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import DATABASE, create_network, load_network
from gateway.shell.store.sqlite import SqliteStore
from simulator import mqtt_run
from simulator.door import settle_record, stored_entries
from simulator.fleet import plan_stations
from simulator.network import Faults
from simulator.record import Record
from simulator.run import device_of_plan
from simulator.weather import DAY_MS
from tests.simulation.audits import audit_all, stored_samples
from tests.simulation.gateways import broker_options, driven_gateway, mosquitto

SEED = 5


def nothing(_done, _total):
    pass


def fleet(scenario, folder, url, **calls):
    return simulate_over_mqtt(scenario, SEED, url, folder, nothing, **calls)


def check_settled_again(folder, report, record):
    """The gateway's roots are those of the fleet's own record, computed here."""
    [epoch] = report.epochs
    assert len(record.messages) == report.messages_signed == report.messages_durable
    assert settle_record(folder, record) == (epoch.message_root, epoch.payout_root)
    assert epoch.paid > 0


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "network"


@pytest.mark.slow
def test_a_quiet_fleet_is_exact(folder, calm_village):
    record = Record()
    with driven_gateway(folder, calm_village.start_ms, SEED) as child:
        report = fleet(calm_village, folder, child.addresses.mqtt, record=record)
        assert audit_all(folder).ok
    assert report.failures == ()
    assert (report.rejected, report.deferred, report.duplicates, report.resends) == (0, 0, 0, 0)
    transport = report.transport
    assert (transport.stalled_slots, transport.reconnects, transport.pauses) == (0, 0, 0)
    check_settled_again(folder, report, record)


@pytest.mark.slow
def test_promises_hold_under_every_fault(folder, village):
    with driven_gateway(folder, village.start_ms, SEED) as child:

        def crash():
            child.kill()
            child.start()

        report = fleet(village, folder, "auto", on_gateway_crash=crash)
        assert audit_all(folder).ok
    assert child.starts == 3
    assert report.failures == (), report
    assert report.gateway_crashes == 2
    assert report.corruptions > 0
    assert report.rejected > 0
    assert report.messages_durable == report.messages_signed
    assert report.duplicates > 0
    assert report.resends > 0
    assert report.board_restarts > 0
    # Two crashes, a partition and the power cuts each cost connections.
    assert report.transport.reconnects >= 12


@pytest.mark.slow
def test_mosquitto_carries_a_fleet_and_may_die(folder, tmp_path, calm_village, require_component):
    require_component("mosquitto")
    # A broker that is killed loses what it acknowledged since it last saved, a second ago at the
    # most; a board misses the receipts and sends again two reporting intervals later. With one
    # sample a message that is still in time, and the day is paid as if nothing had happened.
    often = dataclasses.replace(calm_village.fleet, sample_interval_s=600, samples_per_message=1)
    calm = dataclasses.replace(
        calm_village, fleet=often, faults=Faults(gateway_crash_minutes=(300, 700))
    )
    create_network(folder, "broker", simulated=True, epoch_zero_ms=calm.start_ms, seed=SEED)
    devices = [device_of_plan(plan) for plan in plan_stations(calm, SEED)]
    record = Record()
    with mosquitto(folder, tmp_path / "broker", devices) as broker:
        options = broker_options(folder, broker.url)
        with driven_gateway(folder, calm.start_ms, SEED, *options) as child:
            deaths = []

            def crash():
                victim = (broker, child)[len(deaths)]
                deaths.append(victim)
                victim.kill()
                victim.start()

            report = fleet(calm, folder, "auto", on_gateway_crash=crash, record=record)
    assert len(deaths) == 2
    assert report.failures == (), report
    assert report.transport.broker == broker.url
    check_settled_again(folder, report, record)


def test_a_recording_keeps_values_and_times(folder, tmp_path):
    first_s = 1_772_409_600
    rows = [(first_s + 7 + 601 * n, f"{n * 7 % 300 / 10 - 5:.1f}") for n in range(100)]
    lines = [f"a b,{time_s},52.5,13.4,{value}\n" for time_s, value in rows]
    csv = tmp_path / "rows.csv"
    csv.write_text("station,unix_time,lat,lon,temperature[Cel]\n" + "".join(lines))
    with driven_gateway(folder, first_s * 1_000 - DAY_MS, SEED):
        report = replay_over_mqtt(csv, "auto", folder, nothing)
    assert report.failures == ()
    [samples] = stored_samples(folder).values()
    assert samples == {time_s * 1_000: (round(float(value) * 10), -1) for time_s, value in rows}
    # Most slots hold nothing, and are not played one by one.
    assert report.transport.slots < 500


def test_time_by_ticks_is_exact_and_nothing_is_sent_before(folder, calm_village):
    with driven_gateway(folder, calm_village.start_ms, SEED) as child:
        fleet(calm_village, folder, child.addresses.mqtt)
    store = SqliteStore.open(folder / DATABASE, load_network(folder).network_id)
    kinds = [entry.kind for entry in stored_entries(store)]
    late = [logged.entry.recv_ms % 60_000 for logged in store.iterate()]
    store.close()
    assert set(late) == {0}
    # The first tick that a board believes is that of the slot after its switching on.
    assert Kind.CLOCK not in kinds
    assert kinds.count(Kind.HELLO) == calm_village.fleet.stations


class Fault:
    """What a caller is told."""

    def __init__(self, code):
        self.code = code

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert isinstance(error, OperatorFault), error
        assert error.code == self.code
        return True


def test_without_a_gateway_the_fault_says_so(folder, calm_village):
    create_network(folder, "alone", simulated=True, epoch_zero_ms=0, seed=SEED)
    with Fault(Code.GATEWAY_ABSENT):
        fleet(calm_village, folder, "auto")


def test_a_gateway_of_real_time_is_refused(folder, calm_village):
    today_ms = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    with driven_gateway(folder, today_ms, SEED, "--clock", "real"), Fault(Code.FLEET_UNFIT):
        fleet(calm_village, folder, "auto")


def test_wrong_addresses_are_named(folder, calm_village, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Nobody has to wait for what refuses at once.
    monkeypatch.setattr(mqtt_run, "LOGIN_S", 1.0)
    with driven_gateway(folder, calm_village.start_ms, SEED):
        for url, code in (
            (f"mqtt://127.0.0.1:{port}", Code.FLEET_HALTED),
            ("http://127.0.0.1", Code.CONFIG_INVALID),
            ("mqtt://127.0.0.1:x", Code.CONFIG_INVALID),
            ("mqtts://127.0.0.1", Code.FILE_UNREADABLE),
        ):
            with Fault(code):
                fleet(calm_village, folder, url)


@pytest.mark.slow
def test_one_fleet_runs_once_and_another_goes_on_with_the_next_day(folder, calm_village):
    with driven_gateway(folder, calm_village.start_ms, SEED):
        first = fleet(calm_village, folder, "auto")
        with Fault(Code.FLEET_UNFIT):
            fleet(calm_village, folder, "auto")
        second = simulate_over_mqtt(calm_village, SEED + 1, "auto", folder, nothing)
    assert first.failures == second.failures == ()
    assert first.epochs[-1].epoch < second.epochs[0].epoch
    assert second.epochs[0].carry_before == first.epochs[-1].carry_after > 0
    assert second.messages_durable == second.messages_signed


def test_time_stands_still_for_a_gateway_but_not_for_ever(folder, calm_village, monkeypatch):
    monkeypatch.setattr(mqtt_run, "AWAY_S", 1.5)
    scenario = dataclasses.replace(calm_village, faults=Faults(gateway_crash_minutes=(100,)))
    with driven_gateway(folder, scenario.start_ms, SEED) as child:
        with Fault(Code.FLEET_HALTED):
            fleet(scenario, folder, "auto", on_gateway_crash=child.kill)
        child.start()


def test_without_a_hand_on_the_gateway_its_crashes_are_left_out(folder, calm_village):
    scenario = dataclasses.replace(calm_village, faults=Faults(gateway_crash_minutes=(100, 200)))
    with driven_gateway(folder, scenario.start_ms, SEED):
        report = fleet(scenario, folder, "auto")
    assert report.transport.crashes_left_out == 2
    assert report.gateway_crashes == 0
    assert report.failures == ()


@pytest.mark.slow
def test_a_message_that_dies_on_the_way_stalls_one_slot_and_is_sent_again(
    folder, calm_village, monkeypatch
):
    monkeypatch.setattr(mqtt_run, "STALL_S", 0.5)
    publish = MqttLink.publish
    calls = []

    async def forgetful(self, message):
        calls.append(message)
        return True if len(calls) == 50 else await publish(self, message)

    monkeypatch.setattr(MqttLink, "publish", forgetful)
    with driven_gateway(folder, calm_village.start_ms, SEED):
        report = fleet(calm_village, folder, "auto")
    assert report.failures == ()
    assert report.transport.stalled_slots == 1
    assert report.resends >= 1
    assert calls.count(calls[49]) == 2
    assert report.messages_durable == report.messages_signed


@pytest.mark.parametrize(
    "options, why",
    [
        (("--network", "x"), "--network is for runs over MQTT"),
        (("--record", "x"), "--record is for runs over MQTT"),
        (("--broker", "auto", "--in-process"), "exclude each other"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(options, why):
    done = CliRunner().invoke(main, ["fleet", "run", *options])
    assert done.exit_code == 2
    assert why in done.output
