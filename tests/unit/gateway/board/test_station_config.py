"""The gateway's encoder of a configuration against the firmware's, which takes its bytes."""

import random
import ssl

import pytest
from cairn import config as firmware
from cairn.sensors.rack import Rack
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.genesis import Genesis
from gateway.core.quantities import parse_quantities
from gateway.device.station_choice import (
    Choice,
    Outfit,
    config_bytes,
    parse_antenna,
    station_config,
)
from gateway.device.station_config import CONFIG_BYTES_MAX, StationConfig
from gateway.device.station_sensors import PARTS, entries, gives, warming
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.onboarding import Broker, Onboarding, Time
from gateway.shell.spec_files import read_spec
from tests.unit.firmware.bench import CELL
from tests.unit.firmware.certificates import make_authority

GENESIS = Genesis("test", bytes(range(32)), 20_000 * 86_400_000, bytes(32), simulated=False)
BME280 = entries(["bme280:sda=21,scl=22"])


def onboarding(**changes) -> Onboarding:
    values = {
        "name": GENESIS.name,
        "network_id": GENESIS.network_id().hex(),
        "genesis": GENESIS.encode().hex(),
        "root_key": GENESIS.root_key.hex(),
        "simulated": False,
        "broker": Broker("broker.test", 1883, tls=False, ca_pem=None),
        "time": Time("gateway.test", 8080),
        "this_machine_only": False,
        "region": "EU868",
        "beacon_every": 120,
        "admission_policy": "open",
    }
    return Onboarding(**(values | changes))


def choice(outfit: Outfit | None = None, **changes) -> Choice:
    values = {"scoring_cell": CELL, "place_commitment": bytes(32)}
    return Choice(outfit=outfit or Outfit(sensors=BME280), **(values | changes))


def fault_of(act) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        act()
    return caught.value


def random_fields(draw: random.Random) -> dict:
    """Values that the firmware accepts, at the edges more often than not."""
    sample_ms = draw.choice([1_000, 60_000, 300_000, draw.randint(1_000, 300_000)])
    pairs = sorted({(draw.randrange(40), draw.randrange(4)) for _ in range(draw.randint(1, 32))})
    owner = draw.choice([None, draw.randbytes(20)])
    broker = draw.choice([None, "b", "broker.example", "b" * 253, "b\xfccher.test"])
    fields = {
        "genesis": Genesis(
            "n\xe9" * draw.randint(1, 20),
            draw.randbytes(32),
            0,
            draw.randbytes(32),
            simulated=True,
        ).encode(),
        "quantities": [(*pair, sample_ms * draw.randint(1, 9)) for pair in pairs],
        "sample_interval_ms": sample_ms,
        "samples_per_message": draw.randint(1, 256),
        "status_interval_ms": draw.choice([60_000, 86_400_000]),
        "scoring_cell": draw.choice([CELL, (CELL & ~(15 << 52)) | (7 << 52)]),
        "place_commitment": draw.randbytes(32),
        "owner": owner,
        "owner_proof": None if owner is None else draw.choice([None, draw.randbytes(150)]),
        "duty": draw.choice([(0, 0, 0), (1, 600_000, 599_999), (1, 1, 0)]),
        "antenna": draw.choice([None, (-(1 << 40), 1 << 40), (215, 60), (0, 0)]),
        "time_host": draw.choice([None, "time.test"]),
        "time_port": draw.randint(1, 65_535),
        "outbox_bytes_max": draw.randint(65_536, 16_777_216),
        "broker_host": broker,
        "broker_port": draw.randint(1, 65_535),
        "broker_ca": None if broker is None else draw.choice([None, draw.randbytes(700)]),
        "broker_password": None if broker is None else draw.choice([None, "geheim \xfc"]),
        "keepalive_s": draw.randint(10, 65_535),
        "region": draw.randrange(3),
        "beacon_every": draw.randint(1, 1_440),
        "sntp_host": draw.choice([None, "pool.ntp.test"]),
        "sensors": [
            tuple(draw.randint(-(1 << 52), 1 << 52) for _ in range(draw.randint(2, 8)))
            for _ in range(draw.randrange(17))
        ],
        "store_every_ms": draw.choice([0, 60_000, 3_600_000]),
    }
    if fields["samples_per_message"] * sample_ms > 86_400_000:
        fields["samples_per_message"] = 1
    return fields


@given(st.randoms(use_true_random=False))
def test_both_encoders_give_the_same_bytes_and_the_firmware_takes_them(draw) -> None:
    fields = random_fields(draw)
    fields["quantities"] = [row for row in fields["quantities"] if row[2] <= 86_400_000] or [
        (0, 0, fields["sample_interval_ms"])
    ]
    made = StationConfig(**fields).encode()
    assert made == firmware.Config(**fields).encode()
    assert firmware.decode(made).encode() == made


def encoded(told: Onboarding, wish: Choice, device: bytes | None = None) -> bytes:
    return config_bytes(station_config(told, wish, device))


def test_the_defaults_are_the_firmwares() -> None:
    fields = {
        "genesis": GENESIS.encode(),
        "quantities": [(0, 0, 60_000)],
        "sample_interval_ms": 60_000,
        "samples_per_message": 2,
        "status_interval_ms": 3_600_000,
        "scoring_cell": CELL,
        "place_commitment": bytes(32),
    }
    assert StationConfig(**fields).encode() == firmware.Config(**fields).encode()


@pytest.mark.parametrize(
    "outfit",
    [
        Outfit(sensors=BME280),
        Outfit(sensors=BME280, sample_s=1, message_s=256, status_s=60),
        Outfit(sensors=BME280, sample_s=300, message_s=300, sleep_s=3_600, antenna=(215, -60)),
        Outfit(sensors=entries(["scd4x", "bme280", "sds011", "gnss"]), sntp_host="ntp.test"),
    ],
)
def test_what_an_owner_chooses_is_what_the_firmware_accepts(outfit: Outfit) -> None:
    made = encoded(onboarding(), choice(outfit, owner=bytes(20)), b"d" * 16)
    found = firmware.decode(made)
    assert found.network_id.hex() == onboarding().network_id
    assert found.sample_interval_ms == outfit.sample_s * 1000
    assert found.reporting_interval_ms == outfit.message_s * 1000
    assert [(row[0], row[1]) for row in found.quantities] == gives(outfit.sensors)
    assert found.region == 1
    assert (found.duty[0] == 1) == (outfit.sleep_s is not None)
    assert len(made) <= CONFIG_BYTES_MAX


@pytest.mark.parametrize(
    "outfit,words",
    [
        (Outfit(sensors=()), "sensors"),
        (Outfit(sensors=entries(["gnss"])), "sensors"),
        (Outfit(sensors=BME280, sample_s=0), "samples"),
        (Outfit(sensors=BME280, message_s=90), "messages"),
        (Outfit(sensors=BME280, sample_s=120, message_s=60), "messages"),
        (Outfit(sensors=BME280, sample_s=1, message_s=257), "messages"),
        (Outfit(sensors=BME280, message_s=86_401), "messages"),
        (Outfit(sensors=BME280, status_s=59), "status"),
        (Outfit(sensors=BME280, sleep_s=86_401), "wakes"),
        (Outfit(sensors=entries(["scd4x"]), sleep_s=600), "sleep"),
        (Outfit(sensors=BME280, antenna=(100_000, 0)), "antenna"),
    ],
)
def test_what_the_board_would_refuse_is_refused_before(outfit: Outfit, words: str) -> None:
    fault = fault_of(lambda: encoded(onboarding(), choice(outfit)))
    assert fault.code == Code.STATION_INVALID
    assert words in fault.what


def test_battery_stations_do_not_wake_together() -> None:
    outfit = Outfit(sensors=BME280, sleep_s=600)
    phases = {
        station_config(onboarding(), choice(outfit), bytes((number,)) * 16).duty[2]
        for number in range(50)
    }
    assert len(phases) == 50


def test_a_gateway_that_contradicts_itself_is_not_believed() -> None:
    for changes in (
        {"network_id": "00" * 8},
        {"root_key": "00" * 32},
        {"genesis": "00"},
        {"genesis": "x"},
        {"region": "ATLANTIS"},
    ):
        fault = fault_of(lambda changes=changes: encoded(onboarding(**changes), choice()))
        assert fault.code == Code.ONBOARDING_INVALID


def test_a_ca_goes_as_der_and_has_to_be_one(tmp_path, require_component) -> None:
    authority = make_authority(require_component("openssl"), tmp_path / "ca")
    pem = authority.certificate.read_text()
    tls = Broker("broker.test", 8883, tls=True, ca_pem="# a comment\n" + pem)
    found = firmware.decode(encoded(onboarding(broker=tls), choice()))
    assert found.broker_ca == ssl.PEM_cert_to_DER_cert(pem)
    for bad in (None, "", pem + pem, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"):
        broken = Broker("broker.test", 8883, tls=True, ca_pem=bad)
        act = lambda broken=broken: encoded(onboarding(broker=broken), choice())  # noqa: E731
        assert fault_of(act).code == Code.CA_UNUSABLE


def test_what_does_not_fit_into_nvs_is_said() -> None:
    fault = fault_of(
        lambda: encoded(onboarding(), choice(owner=bytes(20), owner_proof=b"x" * 3_600))
    )
    assert fault.code == Code.STATION_TOO_LARGE
    for password in ("", "x" * 129):
        act = lambda password=password: encoded(  # noqa: E731
            onboarding(), choice(broker_password=password)
        )
        assert fault_of(act).code == Code.STATION_INVALID


def test_an_antenna_in_words() -> None:
    assert parse_antenna("2.15, 6") == (215, 60)
    assert parse_antenna("-3,-0.5") == (-300, -5)
    for text in ("2.15", "a,b", "1,2,3", "1e3,2", ""):
        assert fault_of(lambda text=text: parse_antenna(text)).code == Code.STATION_INVALID


EXAMPLES = {
    "bme280": "bme280",
    "ds18x20": "ds18x20:pin=4",
    "dht11": "dht11:pin=4",
    "dht22": "dht22:pin=4",
    "adc": "adc:pin=34,quantity=battery,uv0=1650000,value0=3300,uv1=2100000,value1=4200",
}


class NoBuses:
    """A Rack touches no bus while it is made."""

    def ticks(self) -> int:
        return 0


@pytest.mark.parametrize("name", list(PARTS))
def test_what_a_part_measures_is_what_its_driver_says(name: str) -> None:
    made = entries([EXAMPLES.get(name, name)])
    parts = Rack(made, NoBuses()).parts
    assert len(parts) == 1
    declared = {(quantity, parts[0].channel) for quantity, _ in parts[0].gives}
    assert sorted(declared) == gives(made)


def test_sensors_get_free_channels_and_buses() -> None:
    made = entries(
        [
            *("bme280:sda=21,scl=22", "scd4x:sda=21,scl=22", "sht4x:sda=1,scl=2"),
            *("sds011:tx=17,rx=16", "gnss:tx=18,rx=19", "veml7700:address=0x10"),
            "bme280:address=0x77,sda=21,scl=22,channel=7",
        ]
    )
    assert made == (
        (1, 0, 0, 0, 21, 22),
        (4, 1, 0, 0, 21, 22),
        (3, 2, 1, 0, 1, 2),
        (6, 0, 1, 17, 16),
        (8, 0, 2, 18, 19),
        (7, 0, 0, 0x10),
        (1, 7, 0, 0x77, 21, 22),
    )
    Rack(made, NoBuses())
    assert warming(made) == ["scd4x", "sds011"]


@pytest.mark.parametrize(
    "named",
    [
        ["bme281"],
        ["bme280:foo=1"],
        ["bme280:sda=1,sda=2"],
        ["bme280:sda=21"],
        ["bme280:sda=x,scl=1"],
        ["bme280:sda=99,scl=1"],
        ["dht22"],
        ["dht22:pin=4,channel=0", "bme280:channel=0"],
        ["adc:pin=4,quantity=mood,uv0=1,value0=1,uv1=2,value1=2"],
        ["adc:pin=4,quantity=battery,uv0=1,value0=1,uv1=1,value1=2"],
        ["sht4x:sda=1,scl=2", "sht4x:sda=3,scl=4", "sht4x:sda=5,scl=6"],
        ["bme280"] * 17,
        ["bme280:bus=0,sda=1,scl=2", "sht4x:bus=0,sda=3,scl=4"],
        ["sds011:tx=1,rx=2", "pms5003:tx=1,rx=2", "gnss"],
        ["sds011:line=1", "gnss:line=1"],
        [""],
    ],
)
def test_a_sensor_that_cannot_be_is_named(named: list[str]) -> None:
    fault = fault_of(lambda: entries(named))
    assert fault.code == Code.SENSOR_INVALID
    assert "docs/sensors.md" in fault.do


@given(st.text(max_size=30), st.sampled_from([*PARTS, ""]))
def test_any_words_are_entries_that_a_rack_takes_or_a_fault(words: str, name: str) -> None:
    try:
        made = entries([f"{name}:{words}"])
    except OperatorFault as fault:
        assert fault.code == Code.SENSOR_INVALID  # noqa: PT017
        return
    assert Rack(made, NoBuses()).parts


def test_every_quantity_of_an_adc_can_be_named() -> None:
    for quantity in parse_quantities(read_spec("quantities.toml")).values():
        text = f"adc:pin=34,quantity={quantity.name},uv0=1,value0=-5,uv1=2,value1=2"
        assert gives(entries([text])) == [(quantity.code, 0)]
