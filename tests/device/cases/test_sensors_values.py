"""Every driver against the register-level model of its part: the value that was put in comes out,
or none if the part cannot measure it; several parts on one station; the time of a GNSS receiver.
"""

import unittest

from cairn.errors import OperatorError
from cairn.sensors.rack import Rack

from simulator.chips.bench import ChipBuses
from simulator.chips.clock import HandClock
from simulator.chips.rig import (
    ADC,
    BME280,
    DHT11,
    DHT22,
    DS18X20,
    GNSS,
    PMS5003,
    SCD4X,
    SDS011,
    SHT3X,
    SHT4X,
    VEML7700,
    Rig,
)

TIMEOUT, RANGE, ABSENT = 3, 5, 9


class Values(unittest.TestCase):
    def judge(self, entry, quantity, values, off):
        rig = Rig(entry)
        for value in values:
            rig.chip.values[quantity] = value
            found = next(r for r in rig.sample() if r[0] == quantity)
            self.assertEqual(found[4], 0, found)
            self.assertTrue(abs(found[3] - value) <= off, (entry, value, found))

    def test_bme280(self):
        self.judge(BME280, 0, (-3_990, -1, 0, 2_508, 8_490), 2)
        self.judge(BME280, 1, (0, 333, 999), 1)
        self.judge(BME280, 2, (3_001, 8_765, 10_132, 10_999), 1)

    def test_sht(self):
        for entry in (SHT3X, SHT4X):
            self.judge(entry, 0, (-3_990, -1, 0, 2_508, 8_490), 3)
            self.judge(entry, 1, (0, 333, 1_000), 1)

    def test_scd4x(self):
        self.judge(SCD4X, 5, (380, 1_000, 39_999), 0)
        self.judge(SCD4X, 0, (-995, 0, 5_995), 3)
        self.judge(SCD4X, 1, (10, 500), 1)

    def test_dust(self):
        for entry in (PMS5003, SDS011):
            self.judge(entry, 3, (0, 10, 9_990), 0)
            self.judge(entry, 4, (0, 420, 9_990), 0)

    def test_veml7700(self):
        self.judge(VEML7700, 6, (0, 1, 150, 600), 1)
        # Two sensitivities and the correction of the bright one: within 1 % and a count.
        for lux in (300, 700, 3_000, 40_000, 120_000, 139_000, 90):
            self.judge(VEML7700, 6, (lux, 5, lux), lux // 100 + 1)

    def test_one_wire(self):
        for entry in (DHT11, DHT22):
            self.judge(entry, 0, (-1_990, -10, 10, 4_990), 0)
            self.judge(entry, 1, (60, 507, 940), 0)
        self.judge(DS18X20, 0, (-5_490, -25, 0, 2_506, 8_600, 12_490), 4)

    def test_adc(self):
        self.judge(ADC, 10, (310, 1_000, 3_700, 4_800), 1)


class OutOfRange(unittest.TestCase):
    """A part that says what it cannot measure says nothing."""

    def judge(self, entry, quantity, value, expected):
        rig = Rig(entry)
        rig.chip.values[quantity] = value
        self.assertEqual([r[4] for r in rig.sample()], expected)

    def test_faults(self):
        self.judge(BME280, 0, 9_000, [RANGE] * 3)
        self.judge(BME280, 2, 2_900, [0, 0, RANGE])
        self.judge(SHT4X, 1, 1_100, [0, RANGE])
        self.judge(SCD4X, 5, 0, [RANGE, 0, 0])
        self.judge(SCD4X, 0, 7_000, [RANGE] * 3)
        self.judge(SDS011, 4, 20_000, [0, RANGE])
        self.judge(PMS5003, 4, 15_000, [0, RANGE])
        self.judge(VEML7700, 6, 150_000, [RANGE])
        self.judge(DHT22, 0, 9_000, [RANGE, 0])
        self.judge(DHT11, 1, 990, [0, RANGE])
        self.judge(DS18X20, 0, 12_600, [RANGE])
        self.judge(ADC, 10, 200, [RANGE])
        self.judge(ADC, 10, 5_200, [RANGE])


class Several(unittest.TestCase):
    def test_one_failing_part_leaves_the_others_alone(self):
        rig = Rig(BME280, [3, 1, 0], [10, 2, 4])
        rig.chip.fail("timeout")
        readings = rig.sample()
        self.assertEqual([r[4] for r in readings], [TIMEOUT] * 3 + [0] * 4)
        self.assertEqual([r[1] for r in readings], [0, 0, 0, 1, 1, 2, 2])

    def test_several_on_one_wire_are_told_apart_by_serial(self):
        rig = Rig([11, 0, 5, 0x1234], [11, 1, 5, 0xABCDEF])
        for rom in rig.chip.parts:
            rig.chip.parts[rom] = rom[1] * 10
        values = rig.values()
        self.assertTrue(abs(values[0] - 2_100 - 0x34 * 10) <= 4, values)
        self.assertTrue(abs(values[1] - 2_100 - 0xEF * 10) <= 4, values)
        rig.rack = Rack([DS18X20], rig.buses)
        self.assertEqual(rig.faults(), [ABSENT])

    def test_entries_that_are_refused(self):
        buses = ChipBuses([], HandClock().ticks)
        for sensors in (
            [[99, 0, 0]],
            [[0, 0, 0]],
            [[1, 0]],
            [[1, -1, 0]],
            [BME280, SHT3X],
            [[12, 0, 34, 10]],
            [[12, 0, 34, 13, 1, 2, 3, 4]],
            [[12, 0, 34, 10, 5, 2, 5, 4]],
        ):
            with self.assertRaises(OperatorError):
                Rack(sensors, buses)


class Gnss(unittest.TestCase):
    def test_the_time_within_what_it_claims(self):
        rig = Rig(GNSS)
        for _ in range(20):
            self.assertEqual(rig.sample(pause_ms=7_777), [])
            utc_ms, at, uncertainty_ms = rig.rack.time()
            self.assertTrue(abs(utc_ms - rig.chip.utc_ms - at) <= uncertainty_ms)

    def test_no_time_without_a_fix_or_a_line(self):
        rig = Rig(GNSS)
        for fault in ("silent", "stuck", "garbage", "crc", "half"):
            rig.chip.fail(fault)
            rig.sample()
            self.assertEqual(rig.rack.time(), None, fault)
        rig.chip.fail(None)
        for fix, mode in ((0, "N"), (6, "E"), (8, "S"), (1, "S")):
            rig.chip.fix, rig.chip.mode = fix, mode
            rig.sample()
            self.assertEqual(rig.rack.time(), None, (fix, mode))
        rig.chip.fix, rig.chip.mode = 2, "D"
        rig.sample()
        self.assertTrue(rig.rack.time() is not None)
