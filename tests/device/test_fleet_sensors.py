"""Fleets whose sensors fail, over TLS: is what the gateway stored what the parts had?

Real: the drivers of the board's image on MicroPython, with their bus transactions, check sums and
waiting; TLS from the boards, from the operator and from the gateway to Mosquitto, by a certificate
of an authority that each of them was given. Modelled: the parts (simulator/chips, from the same
datasheets as the drivers); and TLS on a board's side is Node.js's OpenSSL. mbedTLS, in a build of
MicroPython for Unix, is in test_chip.py.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.cli import fleet_boards
from gateway.cli.fleet_boards import NOT_FOR_RUNNER, simulate_on_boards
from gateway.cli.fleet_run import Broker
from gateway.device.image import build_image
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import create_network
from gateway.shell.settings import load
from simulator import micropython_run
from simulator.fleet import FleetReport, plan_stations
from simulator.micropython_measured import INVARIANT
from simulator.run import device_of_plan
from simulator.scenario import Scenario, parse_scenario
from tests.device.conftest import FIRMWARE
from tests.simulation.gateways import broker_options, driven_gateway, mosquitto
from tests.unit.firmware.certificates import Authority, make_authority

# With it a BME280 hangs from minute 5 on and an SHT3x from minute 1, both to the last bit, and the
# other four stations have loose plugs for 4 to 19 minutes.
SEED = 77
SICK = """
name = "sick"
description = "Six boards without radios, one of each set of sensors, all of them faulty."
start = 2026-03-02
minutes = 40

[fleet]
stations = {stations}
sample_interval_s = 60
samples_per_message = 4

[errors]
dropout_ppm = {share}
stuck_ppm = {share}
"""
# 1 bus did not answer, 3 timeout (a DHT's way of it), 4 bus stuck, 9 absent (a DS18B20 that nobody
# finds on its wire). 6, warming up, is there if a first sample falls into a dust sensor's 30 s.
EXPECTED = {"1", "3", "4", "9"}
WARMING = "6"
RIGHT, WRONG = "(fine * 5 + 128) >> 8", "(fine * 5 + 3_000) >> 8"


def sick(*, stations: int = 6, share: int = 400_000) -> Scenario:
    return parse_scenario(SICK.format(stations=stations, share=share), "sick.toml")


@pytest.fixture
def modules(node_modules: Callable[[str], Path]) -> Path:
    return node_modules("device")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    folder = tmp_path / "network"
    create_network(folder, "sick", simulated=True, epoch_zero_ms=sick().start_ms, seed=SEED)
    return folder


@pytest.fixture
def authority(tmp_path: Path, require_component: Callable[[str], str]) -> Authority:
    return make_authority(require_component("openssl"), tmp_path / "authority")


@pytest.fixture
def broker_url(
    network: Path,
    authority: Authority,
    tmp_path: Path,
    require_component: Callable[[str], str],
) -> Iterator[str]:
    """The address of a Mosquitto with TLS, before a running gateway."""
    require_component("mosquitto")
    devices = [device_of_plan(one) for one in plan_stations(sick(), SEED)]
    tls = (*authority.issue("localhost"), authority.certificate)
    trust = ("--broker-ca-file", str(authority.certificate))
    with (
        mosquitto(network, tmp_path / "broker", devices, tls) as broker,
        driven_gateway(network, 0, SEED, *broker_options(network, broker.url), *trust),
    ):
        yield broker.url


def run(plan: Scenario, network: Path, modules: Path, ca: Path | None = None) -> FleetReport:
    broker = Broker("auto", load({"data_dir": network}, None, {}), ca)
    return simulate_on_boards(plan, SEED, broker, lambda _done, _total: None, node_modules=modules)


@pytest.mark.slow
def test_faulty_sensors_over_tls(
    broker_url: str, network: Path, modules: Path, authority: Authority
) -> None:
    report = run(sick(), network, modules, authority.certificate)
    boards, transport = report.boards, report.transport
    assert report.failures == ()
    assert transport is not None
    assert transport.broker == broker_url
    assert broker_url.startswith("mqtts://")
    assert report.messages_signed == report.messages_durable
    assert boards is not None
    assert boards.sensor_faults.keys() - {WARMING} == EXPECTED
    # Six stations give fifteen readings a minute, of 38 minutes at least.
    everything = boards.measured + sum(boards.sensor_faults.values())
    assert everything > 38 * 15
    assert boards.measured > everything // 2
    # No connection failed; a tick is heard twice by whoever has just logged in.
    assert boards.reports.keys() <= {"downlink.tick"}


@pytest.mark.slow
def test_a_broker_of_another_authority_gets_no_fleet(
    broker_url: str,
    network: Path,
    modules: Path,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The operator is the first to connect; what a board says to it is in test_faults.py."""
    monkeypatch.setattr(micropython_run, "LOGIN_S", 2.0)
    other = make_authority(authority.openssl, network.parent / "other")
    with pytest.raises(OperatorFault) as caught:
        run(sick(), network, modules, other.certificate)
    assert caught.value.code == Code.FLEET_HALTED
    assert "certificate verify failed" in caught.value.why
    assert broker_url in caught.value.what


@pytest.mark.slow
def test_a_driver_that_computes_wrong_is_found_out(
    network: Path, modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of a degree too much, in the driver of a BME280 and nowhere else."""
    firmware = tmp_path / "firmware"
    shutil.copytree(FIRMWARE.parent, firmware)
    driver = firmware / "cairn" / "sensors" / "bme280.py"
    text = driver.read_text("utf-8")
    assert text.count(RIGHT) == 1
    driver.write_text(text.replace(RIGHT, WRONG), "utf-8")
    files = build_image(firmware, architecture="bytecode").files
    program = {name: data for name, data in files.items() if name not in NOT_FOR_RUNNER}
    monkeypatch.setattr(fleet_boards, "board_program", lambda: program)
    with driven_gateway(network, 0, SEED):
        report = run(sick(stations=2, share=0), network, modules)
    # Station 0 has a BME280, station 1 an SHT4x.
    [failure] = report.failures
    assert failure.invariant == INVARIANT
    assert failure.detail.startswith("station 0 quantity 0 channel 0, ")
    assert report.boards is not None
    assert report.boards.measured > 100
