"""Drivers against the specification, and against buses on which anything may happen.

What a damaged frame may become is judged by decoders of this file, which share nothing with the
drivers: a value is right only if they find it in the bytes that were really on the line.
"""

import random
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cairn import wire
from cairn.sensors import adc, part, rack
from hypothesis import given
from hypothesis import strategies as st

from simulator.chips.bench import ChipBuses
from simulator.chips.clock import HandClock, finished

ROOT = Path(__file__).parents[3]
QUANTITIES = tomllib.loads((ROOT / "spec" / "quantities.toml").read_text(encoding="utf-8"))
ENTRIES = [
    [rack.BME280, 0, 0],
    [rack.SHT3X, 1, 0],
    [rack.SHT4X, 2, 1],
    [rack.SCD4X, 3, 0],
    [rack.PMS5003, 0, 1],
    [rack.SDS011, 1, 2],
    [rack.VEML7700, 0, 0],
    [rack.GNSS, 0, 3],
    [rack.DHT11, 4, 4],
    [rack.DHT22, 5, 5],
    [rack.DS18X20, 6, 6],
    [rack.ADC, 0, 34, 10, 500_000, 1_000, 2_000_000, 4_000],
]
# What each part measures at most, in the units of spec/quantities.toml: (part, quantity).
LIMITS = {
    (rack.BME280, 0): (-4_000, 8_500),
    (rack.BME280, 1): (0, 1_000),
    (rack.BME280, 2): (3_000, 11_000),
    (rack.SHT3X, 0): (-4_000, 12_500),
    (rack.SHT3X, 1): (0, 1_000),
    (rack.SHT4X, 0): (-4_000, 12_500),
    (rack.SHT4X, 1): (0, 1_000),
    (rack.SCD4X, 5): (1, 40_000),
    (rack.SCD4X, 0): (-1_000, 6_000),
    (rack.SCD4X, 1): (0, 1_000),
    (rack.PMS5003, 3): (0, 10_000),
    (rack.PMS5003, 4): (0, 10_000),
    (rack.SDS011, 3): (0, 9_999),
    (rack.SDS011, 4): (0, 9_999),
    (rack.VEML7700, 6): (0, 140_000),
    (rack.DHT11, 0): (-2_000, 6_000),
    (rack.DHT11, 1): (50, 950),
    (rack.DHT22, 0): (-4_000, 8_000),
    (rack.DHT22, 1): (0, 1_000),
    (rack.DS18X20, 0): (-5_500, 12_500),
    (rack.ADC, 10): (300, 4_900),
}


def test_exponents_are_the_resolutions_of_the_specification() -> None:
    resolutions = {one["code"]: one["resolution"] for one in QUANTITIES["quantity"]}
    assert [-exponent for exponent in adc.EXPONENTS] == [
        resolutions[code] for code in range(len(adc.EXPONENTS))
    ]
    assert len(adc.EXPONENTS) == len(resolutions)
    clock = HandClock()
    for made in rack.Rack(ENTRIES, ChipBuses(ENTRIES, clock.ticks)).parts:
        for quantity, exponent in made.gives:
            assert exponent == resolutions[quantity]


def test_codes_are_those_of_the_specification() -> None:
    text = (ROOT / "spec" / "protocol.md").read_text(encoding="utf-8")
    for code, words in (
        (part.BUS, "bus did not answer"),
        (part.CHECKSUM, "checksum"),
        (part.TIMEOUT, "timeout"),
        (part.STUCK, "bus stuck"),
        (part.RANGE, "outside the sensor's range"),
        (part.WARMING, "warming up"),
        (part.SUPPLY, "supply too low"),
        (part.ABSENT, "sensor absent"),
    ):
        assert f"{code} {words}" in " ".join(text.split())
    assert part.ABSENT == wire.FAULT_ABSENT


def test_part_codes_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "sensors.md").read_text(encoding="utf-8")
    codes = {name: code for name, code in vars(rack).items() if name.isupper() and name[0] != "_"}
    del codes["TYPE_CHECKING"]
    assert sorted(codes.values()) == list(range(1, 13))
    for name, code in codes.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {code} |"))
        assert name.replace("X", "x") in row.replace("X", "x"), row


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"part{entry[0]}")
def test_only_the_drivers_of_a_profile_are_loaded(entry: list[int]) -> None:
    program = (
        "import sys\n"
        "from cairn.sensors.rack import Rack\n"
        "class Buses:\n"
        "    def ticks(self): return 0\n"
        f"Rack([{entry}], Buses())\n"
        "print(*sorted(n[14:] for n in sys.modules if n.startswith('cairn.sensors.')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    shared = {"rack", "part", "frames", "sensirion"}
    assert len(set(done.stdout.split()) - shared) == 1, done.stdout


class Chaos:
    """Buses on which every answer is drawn: right bytes, other bytes, or any error."""

    def __init__(self, rng: random.Random, clock: HandClock, rate: float) -> None:
        self.ticks = clock.ticks
        self.rng = rng
        self.rate = rate
        self.models = ChipBuses(ENTRIES, clock.ticks)
        self.buf = bytearray(5)
        self._wire: object = None

    def i2c(self, number: int, sda: int | None, scl: int | None) -> "Chaos":
        self._bus = self.models.i2c(number, sda, scl)
        return self

    def uart(self, number: int, baud: int, tx: int | None, rx: int | None) -> "Chaos":
        self._line = self.models.uart(number, baud, tx, rx)
        return self

    def _hurt(self) -> bool:
        if self.rng.random() >= self.rate:
            return False
        kind = self.rng.randrange(4)
        if kind == 0:
            raise OSError(*self.rng.choice([(), (5,), (19,), (110,), (116,), ("odd",)]))
        return True

    def writeto(self, address: int, data: bytes) -> int:
        return 0 if self._hurt() else self._bus.writeto(address, data)

    def readfrom_into(self, address: int, buffer: bytearray) -> None:
        if self._hurt():
            buffer[:] = self.rng.choice(
                [self.rng.randbytes(len(buffer)), bytes(len(buffer)), b"\xff" * len(buffer)]
            )
        else:
            self._bus.readfrom_into(address, buffer)

    def readfrom_mem_into(self, address: int, register: int, buffer: bytearray) -> None:
        if self._hurt():
            buffer[:] = self.rng.randbytes(len(buffer))
        else:
            self._bus.readfrom_mem_into(address, register, buffer)

    def any(self) -> int:
        return self.rng.randrange(64) if self._hurt() else self._line.any()

    def read(self, size: int) -> bytes | None:
        if self._hurt():
            return self.rng.choice([None, b"", self.rng.randbytes(size), b"$GNRMC,,\n", b"BM"])
        return self._line.read(size)

    def adc(self, pin: int) -> "Chaos":
        self._pin = self.models.adc(pin)
        return self

    def read_uv(self) -> int:
        return self.rng.randrange(-9, 4_000_000) if self._hurt() else self._pin.read_uv()

    def dht(self, model: int, pin: int) -> "Chaos":
        self._dht = self.models.dht(model, pin)
        return self

    def measure(self) -> None:
        if self._hurt():
            self.buf[:] = self.rng.randbytes(5)
            return
        self._dht.measure()
        self.buf[:] = self._dht.buf

    def onewire(self, pin: int) -> "Chaos":
        self._ds18 = self.models.onewire(pin)
        return self

    def scan(self) -> list[bytearray]:
        if self._hurt():
            return [bytearray(self.rng.randbytes(8)) for _ in range(self.rng.randrange(3))]
        return self._ds18.scan()

    def convert_temp(self) -> None:
        if not self._hurt():
            self._ds18.convert_temp()

    def read_scratch(self, rom: bytearray) -> bytearray:
        if self._hurt() or bytes(rom) not in self._ds18.parts:
            return bytearray(self.rng.randbytes(9))
        return self._ds18.read_scratch(rom)


@given(st.integers(0, 2**32), st.sampled_from([0.01, 0.1, 0.5, 1.0]))
def test_whatever_the_buses_do_a_sample_is_well_formed(seed: int, rate: float) -> None:
    clock = HandClock()
    station = rack.Rack(ENTRIES, Chaos(random.Random(seed), clock, rate))
    for _ in range(4):
        before = clock.now
        readings = finished(station.sample(clock.sleep))
        assert clock.now - before < 20_000
        clock.now += 60_000
        expected = [
            (made.entry[0], quantity, made.channel, exponent)
            for made in station.parts
            for quantity, exponent in made.gives
        ]
        assert len(readings) == len(expected)
        for reading, (code, quantity, channel, exponent) in zip(readings, expected, strict=True):
            assert reading[:3] == (quantity, channel, exponent)
            value, fault = reading[3:]
            if value is None:
                assert 1 <= fault <= 9
            else:
                low, high = LIMITS[code, quantity]
                assert type(value) is int
                assert low <= value <= high
                assert fault == 0
        known = station.time()
        assert known is None or 0 <= known[1] <= clock.now
