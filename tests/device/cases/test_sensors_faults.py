"""Every driver against the register-level model of its part: each fault becomes its code and never
a number, and the driver recovers by itself.
"""

import unittest

from cairn.sensors import part
from cairn.sensors.rack import Rack

from simulator.chips.bench import ChipBuses
from simulator.chips.clock import HandClock, finished
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

BUS, CHECKSUM, TIMEOUT, STUCK, RANGE, WARMING, SUPPLY, ABSENT = 1, 2, 3, 4, 5, 6, 8, 9


class Faults(unittest.TestCase):
    def judge(self, entry, fault, allowed, samples=1):
        """Twice on end, then the next reading after the fault is right again."""
        rig = Rig(entry)
        right = [r[3] for r in rig.sample()]
        self.assertTrue(None not in right, (entry, right))
        rig.chip.fail(fault)
        for _ in range(2):
            codes = rig.faults()
            self.assertTrue(all(code in allowed for code in codes), (entry, fault, codes))
        rig.chip.fail(None)
        rig.clock.now += 60_000
        again = []
        for _ in range(samples):
            again = rig.values()
        self.assertTrue(None not in again, (entry, fault, again))

    def test_nobody_acknowledges(self):
        for entry in (BME280, SHT3X, SHT4X, VEML7700):
            self.judge(entry, "nak", (BUS,))
        self.judge(SCD4X, "nak", (BUS,), samples=2)

    def test_the_clock_is_held(self):
        for entry in (BME280, SHT3X, SHT4X, VEML7700):
            self.judge(entry, "timeout", (TIMEOUT,))
        self.judge(SCD4X, "timeout", (TIMEOUT,), samples=2)

    def test_a_line_is_held(self):
        for level in ("stuck", "low"):
            for entry in (BME280, SHT3X, SHT4X, VEML7700):
                self.judge(entry, level, (STUCK,))
            self.judge(SCD4X, level, (STUCK,), samples=2)

    def test_bits_are_flipped(self):
        for entry in (SHT3X, SHT4X):
            self.judge(entry, "crc", (CHECKSUM,))
        self.judge(SCD4X, "crc", (CHECKSUM,), samples=2)
        # Without a checksum it is found by reading twice, or by settings that are not the own.
        self.judge(BME280, "crc", (CHECKSUM, TIMEOUT, ABSENT))
        self.judge(VEML7700, "crc", (CHECKSUM, STUCK))

    def test_garbage(self):
        for entry in (BME280, SHT3X, SHT4X, VEML7700):
            self.judge(entry, "garbage", (CHECKSUM, TIMEOUT, STUCK, ABSENT))
        self.judge(SCD4X, "garbage", (CHECKSUM,), samples=2)

    def test_a_conversion_that_does_not_end(self):
        for entry in (BME280, SHT3X, SHT4X):
            self.judge(entry, "slow", (TIMEOUT,))
        self.judge(SCD4X, "slow", (TIMEOUT,), samples=2)

    def test_another_chip_at_the_address(self):
        rig = Rig(BME280)
        rig.chip.fail("foreign")
        rig.rack = Rack([BME280], rig.buses)
        self.assertEqual(rig.faults(), [ABSENT] * 3)

    def test_the_same_bits_for_ever(self):
        for entry in (BME280, SHT3X, SHT4X):
            rig = Rig(entry)
            rig.chip.fail("frozen")
            codes = [rig.sample()[0][4] for _ in range(20)]
            self.assertEqual(codes[:8], [0] * 8, codes)
            self.assertEqual(codes[17:], [STUCK] * 3, codes)
            rig.chip.fail(None)
            self.assertTrue(None not in rig.values())

    def test_one_lost_transaction_is_tried_again(self):
        for entry in (BME280, SHT3X, SHT4X, VEML7700):
            rig = Rig(entry)
            rig.chip.fail("nak", left=1)
            self.assertTrue(None not in rig.values(), entry)

    def test_one_flipped_bit_anywhere_changes_no_value(self):
        # From the first transaction of a new driver on; BME280 and VEML7700 have no checksum.
        for entry, transactions in ((BME280, 36), (SHT3X, 6), (SHT4X, 6), (VEML7700, 22)):
            for after in range(transactions):
                rig = Rig(entry)
                right = [reading[3] for reading in rig.sample()]
                rig.rack = Rack([entry], rig.buses)
                rig.chip.fail("crc", left=1, after=after)
                for _ in range(3):
                    for at, reading in enumerate(rig.sample()):
                        if reading[3] is None:
                            self.assertTrue(reading[4] > 0, (entry, after, reading))
                        else:
                            off = abs(reading[3] - right[at])
                            self.assertTrue(off <= 4, (entry, after, reading, right))

    def test_a_part_that_is_late_is_waited_for(self):
        for entry in (SHT3X, SHT4X):
            rig = Rig(entry)
            rig.chip.fail("late")
            self.assertTrue(None not in rig.values(), entry)

    def test_of_two_faults_the_first_is_told(self):
        class Twice(part.Part):
            gives = ((0, -2),)
            seen = 0

            async def measure(self, sleep):
                await sleep(1)
                self.seen += 1
                raise part.SensorError(CHECKSUM if self.seen == 1 else TIMEOUT)

        clock = HandClock()
        made = Twice([1, 7, 0], ChipBuses([], clock.ticks))
        self.assertEqual(finished(made.read(clock.sleep)), [(0, 7, -2, None, CHECKSUM)])

    def test_frames_that_waited_since_the_last_sample_are_not_reported(self):
        for entry in (PMS5003, SDS011):
            rig = Rig(entry)
            rig.sample()
            # The receive buffer is full of them.
            self.assertEqual(rig.buses.uart(1, 9_600, None, None).any(), 256)
            rig.chip.values = {3: 770, 4: 880}
            self.assertEqual(rig.values(), [770, 880])

    def test_serial_lines(self):
        for entry in (PMS5003, SDS011):
            self.judge(entry, "silent", (BUS,), samples=2)
            self.judge(entry, "stuck", (STUCK,), samples=2)
            self.judge(entry, "garbage", (CHECKSUM,), samples=2)
            self.judge(entry, "crc", (CHECKSUM,), samples=2)
            self.judge(entry, "half", (CHECKSUM, TIMEOUT), samples=2)

    def test_one_wire(self):
        for entry in (DHT11, DHT22):
            self.judge(entry, "silent", (TIMEOUT,))
            self.judge(entry, "crc", (CHECKSUM,))
            self.judge(entry, "low", (STUCK,))
        self.judge(DS18X20, "silent", (BUS, ABSENT))
        self.judge(DS18X20, "crc", (CHECKSUM,))
        self.judge(DS18X20, "low", (STUCK,))
        self.judge(DS18X20, "power", (SUPPLY,))

    def test_a_pin_that_clips(self):
        self.judge(ADC, "low", (RANGE,))
        self.judge(ADC, "high", (RANGE,))

    def test_buses_that_are_not_there(self):
        buses = ChipBuses([], HandClock().ticks)
        entries = [
            BME280,
            [2, 1, 0],
            [4, 2, 0],
            PMS5003,
            [7, 0, 0],
            GNSS,
            [10, 3, 4],
            [11, 4, 5],
            ADC,
        ]
        rack = Rack(entries, buses)
        readings = finished(rack.sample(HandClock().sleep))
        self.assertEqual([reading[3:] for reading in readings], [(None, ABSENT)] * 15)

    def test_an_image_without_the_module(self):
        class Bare(ChipBuses):
            def dht(self, _model, _pin):
                raise ImportError("no module named 'dht'")

        rack = Rack([DHT22], Bare([], HandClock().ticks))
        readings = finished(rack.sample(HandClock().sleep))
        self.assertEqual([reading[4] for reading in readings], [ABSENT] * 2)


class WarmingUp(unittest.TestCase):
    def test_scd4x_needs_five_seconds(self):
        rig = Rig(SCD4X)
        rig.rack = Rack([SCD4X], rig.buses)
        self.assertEqual([r[4] for r in rig.sample(pause_ms=2_000)], [WARMING] * 3)
        self.assertEqual([r[4] for r in rig.sample(pause_ms=4_000)], [WARMING] * 3)
        self.assertEqual([r[4] for r in rig.sample()], [0] * 3)

    def test_scd4x_after_a_failed_supply(self):
        rig = Rig(SCD4X)
        rig.sample()
        rig.chip.lose_power()
        self.assertEqual([r[4] for r in rig.sample()], [TIMEOUT] * 3)
        self.assertEqual([r[4] for r in rig.sample()], [0] * 3)

    def test_dust_needs_half_a_minute_after_every_silence(self):
        for entry in (PMS5003, SDS011):
            rig = Rig(entry)
            self.assertEqual([r[4] for r in rig.sample()], [0, 0])
            rig.chip.fail("silent")
            self.assertEqual([r[4] for r in rig.sample(pause_ms=1_000)], [BUS] * 2)
            rig.chip.fail(None)
            self.assertEqual([r[4] for r in rig.sample(pause_ms=20_000)], [WARMING] * 2)
            self.assertEqual([r[4] for r in rig.sample(pause_ms=9_000)], [WARMING] * 2)
            self.assertEqual([r[4] for r in rig.sample()], [0, 0])

    def test_no_reading_waits_longer_than_its_part_takes(self):
        for entry, most_ms in (
            (BME280, 80),
            (SHT3X, 120),
            (SHT4X, 80),
            (SCD4X, 1_100),
            (PMS5003, 5_000),
            (SDS011, 5_000),
            (VEML7700, 900),
            (GNSS, 2_300),
            (DHT22, 0),
            (DS18X20, 1_600),
            (ADC, 20),
        ):
            rig = Rig(entry)
            faults = (
                None,
                "nak",
                "timeout",
                "stuck",
                "low",
                "crc",
                "garbage",
                "slow",
                "silent",
                "half",
            )
            for fault in faults:
                rig.chip.fail(fault)
                for _ in range(3):
                    before = rig.clock.now
                    rig.sample(pause_ms=0)
                    self.assertTrue(rig.clock.now - before <= most_ms, (entry, fault))
                    rig.clock.now += 7_001
