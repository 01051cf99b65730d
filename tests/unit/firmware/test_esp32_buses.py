"""The buses of the ESP32 board and the rack of sensors over them, on CPython."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from cairn.errors import OperatorError

from tests.unit.firmware.chip_rig import Chip, mains, make_chip

BME280, SCD4X, PMS5003, DHT22, DS18X20, ADC = 1, 4, 5, 10, 11, 12


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Chip:
    return make_chip(monkeypatch, tmp_path)


@pytest.fixture
def buses(chip: Chip) -> Any:
    from cairn.boards.esp32_buses import Buses

    return Buses(chip.boot())


def test_a_bus_is_opened_once_with_the_pins_that_are_named(chip: Chip, buses: Any) -> None:
    assert buses.i2c(0, 21, 22) is buses.i2c(0, 21, 22)
    assert buses.i2c(1, None, None) is not buses.i2c(0, 21, 22)
    assert buses.uart(2, 9600, 17, 16) is buses.uart(2, 9600, 17, 16)
    assert buses.uart(1, 9600, None, None)
    assert chip.machine.buses == [
        ("i2c", 0, 22, 21, 100_000),
        ("i2c", 1, None, None, 100_000),
        ("uart", 2, 9600, 17, 16, 1_024, 0),
        ("uart", 1, 9600, None, None, 1_024, 0),
    ]
    assert buses.adc(34) is buses.adc(34)
    assert buses.adc(34).atten == 3
    assert buses.adc(34).read_uv() == 1_650_000
    assert buses.ticks() >= 0


def test_a_bus_that_is_not_there_is_a_value_error(buses: Any) -> None:
    for opened in (
        lambda: buses.i2c(7, None, None),
        lambda: buses.uart(0, 9600, None, None),
        lambda: buses.uart(9, 9600, 1, 2),
        lambda: buses.adc(99),
        lambda: buses.dht(22, 99),
        lambda: buses.onewire(-1),
    ):
        with pytest.raises(ValueError, match=r".+"):
            opened()


def test_frozen_drivers_fit_as_they_are(buses: Any) -> None:
    assert type(buses.dht(11, 4)).__name__ == "DHT11"
    assert type(buses.dht(22, 5)).__name__ == "DHT22"
    assert buses.onewire(6).scan() == []


def test_the_rack_samples_over_them_and_a_broken_part_is_a_fault_of_its_own(chip: Chip) -> None:
    chip.machine.microvolts = 1_000_000
    board = chip.boot()
    quantity = 7
    level = (ADC, 3, 34, quantity, 0, 0, 2_000_000, 1_000)
    board.equip(mains(sensors=((DHT22, 0, 4), (BME280, 1, 7), level)))
    readings = asyncio.run(board.sample())
    by_channel = {(row[0], row[1]): row for row in readings}
    assert by_channel[(quantity, 3)][3] == 500
    measured = [row for row in readings if row[1] == 0]
    assert sorted(row[3] * 10 ** (row[2] + 2) for row in measured) == [2340, 5520]
    broken = [row for row in readings if row[1] == 1]
    assert broken
    assert all(value is None and fault for _, _, _, value, fault in broken)


def test_an_unknown_part_is_told_and_the_radios_are_there_all_the_same(chip: Chip) -> None:
    board = chip.boot()
    with pytest.raises(OperatorError) as told:
        board.equip(mains(sensors=((999, 0, 4),)))
    assert told.value.code == "config.sensors"
    assert board.radios()
    assert asyncio.run(board.sample()) == []
