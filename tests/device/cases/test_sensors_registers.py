"""Register arithmetic of the drivers: the datasheets' own examples, and their formulas in floating
point over the whole range (simulator/chips has them; the drivers compute in integers).
"""

import unittest

from cairn.sensors import (
    adc,
    bme280,
    dht,
    ds18x20,
    dust,
    gnss,
    part,
    scd4x,
    sensirion,
    sht,
    veml7700,
)

from simulator.chips import bme280 as bme_chip
from simulator.chips import veml7700 as veml_chip
from simulator.chips.sensirion import with_crc
from simulator.chips.serial import sealed, stamped
from simulator.chips.wires import scratchpad

DIG = bme_chip.DIG_T + bme_chip.DIG_P + bme_chip.DIG_H


def bme_raw(adc_p, adc_t, adc_h):
    pressure, temperature = (adc_p << 4).to_bytes(3, "big"), (adc_t << 4).to_bytes(3, "big")
    return bytearray(pressure + temperature + adc_h.to_bytes(2, "big"))


def near(value, expected, unit):
    """Within one unit of the last place and the rounding."""
    return value is not None and abs(value - expected / unit) <= 1.0


class Bme280(unittest.TestCase):
    def test_bosch_example(self):
        # BST-BMP280-DS001 section 3.12: t_fine 128422, 25.08 C and 100653.27 Pa.
        fine = bme280.temperature_fine(519_888, DIG)
        self.assertEqual(fine, 128_422)
        apart = bme280.pressure_q8(415_148, fine, DIG) / 256.0 - 100_653.27
        self.assertTrue(abs(apart) < 0.05, apart)
        found = bme280.compensated(bme_raw(415_148, 519_888, 30_000), DIG)
        self.assertEqual((found[0], found[2]), (2_508, 10_065))

    def test_the_factory_values_are_found_in_their_registers(self):
        low = bytearray([bme_chip.NVM.get(0x88 + at, 0) for at in range(26)])
        high = bytearray([bme_chip.NVM[0xE1 + at] for at in range(7)])
        self.assertEqual(bme280.factory(low, high), DIG)

    def test_signs_of_the_packed_values(self):
        high = bytearray([0x00, 0x80, 0x07, 0xFF, 0x1F, 0x80, 0xFE])
        found = bme280.factory(bytearray(b"\xff" * 26), high)
        self.assertEqual(found[0], 0xFFFF)
        self.assertEqual(found[1], -1)
        self.assertEqual(found[12:], (0xFF, -32_768, 7, -1, -2_047, -2))

    def test_the_floating_point_formula_over_the_range(self):
        judged = 0
        for adc_t in range(0, 1 << 20, 9_001):
            fine = bme_chip.fine_of(adc_t)
            celsius = bme_chip.celsius_of(adc_t)
            for share in range(40):
                adc_p, adc_h = share * 26_000 + 7, share * 1_600 + 3
                found = bme280.compensated(bme_raw(adc_p, adc_t, adc_h), DIG)
                where = (adc_t, adc_p, adc_h, found)
                if not -40.01 <= celsius <= 85.01:
                    self.assertEqual(found, [None] * 3, where)
                    continue
                if found[0] is None:
                    continue
                self.assertTrue(near(found[0], celsius, 0.01), where)
                pascal = bme_chip.pascal_of(adc_p, fine)
                if found[2] is not None:
                    self.assertTrue(near(found[2], pascal, 10.0), where)
                self.assertEqual(found[2] is None, not 29_995 <= pascal < 110_005, where)
                percent = bme_chip.percent_of(adc_h, fine)
                if found[1] is not None:
                    self.assertTrue(near(found[1], min(100.0, max(0.0, percent)), 0.1), where)
                # At the very edge of the tolerance either may be.
                if -2.7 <= percent <= 102.7 or not -3.3 <= percent <= 103.3:
                    self.assertEqual(found[1] is None, abs(percent - 50.0) > 53.0, where)
                judged += 1
        self.assertTrue(judged > 1_000, judged)


class Sensirion(unittest.TestCase):
    def test_crc_of_the_datasheets(self):
        self.assertEqual(sensirion.crc8(b"\xbe\xef"), 0x92)
        self.assertEqual(sensirion.crc8(b"\x00\x00"), 0x81)

    def test_scd4x_example(self):
        # Datasheet SCD4x, section 3.5.2: 500 ppm, 25 C, 37 %RH.
        words = sensirion.words(b"\x01\xf4\x33\x66\x67\xa2\x5e\xb9\x3c")
        self.assertEqual(scd4x.converted(*words), [500, 2_500, 370])

    def test_every_flipped_bit_is_seen(self):
        frame = with_crc(0x6667) + with_crc(0x5EB9)
        for bit in range(48):
            damaged = bytearray(frame)
            damaged[bit // 8] ^= 1 << (bit % 8)
            with self.assertRaises(part.SensorError):
                sensirion.words(damaged)

    def test_formulas_over_the_range(self):
        for word in range(0, 65_536, 17):
            celsius = -45.0 + 175.0 * word / 65535.0
            third = sht.converted(word, 30_000, third=True)
            self.assertEqual(third[0] is None, not -40.005 <= celsius <= 125.005, word)
            if third[0] is not None:
                self.assertTrue(near(third[0], celsius, 0.01), word)
            percent = -6.0 + 125.0 * word / 65535.0
            fourth = sht.converted(30_000, word, third=False)[1]
            if fourth is None:
                self.assertTrue(percent < -1.9 or percent > 101.9, word)
            else:
                self.assertTrue(-2.1 < percent < 102.1, word)
                self.assertTrue(near(fourth, min(100.0, max(0.0, percent)), 0.1), word)
            self.assertEqual(
                sht.converted(30_000, word, third=True)[1], (word * 2_000 + 65_535) // 131_070
            )

    def test_a_co2_of_zero_is_no_co2(self):
        self.assertEqual(scd4x.converted(0, 0x6667, 0x5EB9)[0], None)
        self.assertEqual(scd4x.converted(400, 0, 0x5EB9), [None] * 3)


class Veml7700(unittest.TestCase):
    def test_resolutions_and_the_polynomial(self):
        for counts in range(0, 65_536, 13):
            self.assertTrue(near(veml7700.lux(counts, dim=True), counts * 0.0672, 1.0), counts)
            real = veml_chip.corrected(counts * 0.5376)
            found = veml7700.lux(counts, dim=False)
            self.assertEqual(found is None, real >= 140_000.5, counts)
            if found is not None:
                self.assertTrue(near(found, real, 1.0), counts)


class OneWire(unittest.TestCase):
    def test_ds18b20_table(self):
        # Datasheet DS18B20, table 1, but +85 C.
        table = ((0x07D0, 12_500), (0x0191, 2_506), (0x00A2, 1_013), (0x0008, 50), (0x0000, 0))
        table += ((0xFFF8, -50), (0xFF5E, -1_012), (0xFE6F, -2_506), (0xFC90, -5_500))
        for raw, centi in table:
            pad = raw.to_bytes(2, "little") + b"\x4b\x46\x7f\xff\x0c\x10\x00"
            self.assertEqual(ds18x20.centi_celsius(pad, 0x28), centi)

    def test_ds18b20_of_nine_bits(self):
        self.assertEqual(
            ds18x20.centi_celsius(b"\x97\x01\x4b\x46\x1f\xff\x0c\x10\x00", 0x28), 2_500
        )

    def test_ds18s20(self):
        # Datasheet DS18S20, table 1 with the count that stands for .00, and equation 1.
        for raw, centi in ((0x0032, 2_500), (0xFFCE, -2_500), (0x0000, 0), (0xFF92, -5_500)):
            pad = raw.to_bytes(2, "little") + b"\x4b\x46\xff\xff\x0c\x10\x00"
            self.assertEqual(ds18x20.centi_celsius(pad, 0x10), centi)
        for centi in range(-5_500, 8_400, 31):
            found = ds18x20.centi_celsius(scratchpad(0x10, centi), 0x10)
            self.assertTrue(abs(found - centi) <= 4, (centi, found))

    def test_the_power_on_value_is_no_temperature(self):
        for family, raw in ((0x28, b"\x50\x05"), (0x10, b"\xaa\x00")):
            with self.assertRaises(part.SensorError):
                ds18x20.centi_celsius(raw + b"\x4b\x46\x7f\xff\x0c\x10\x00", family)

    def test_am2302_examples(self):
        # Aosong, AM2302: 65.2 %RH and 35.1 C; -10.1 C.
        self.assertEqual(dht.dht22(b"\x02\x8c\x01\x5f\xee"), [3_510, 652])
        self.assertEqual(dht.dht22(b"\x02\x8c\x80\x65\x73"), [-1_010, 652])

    def test_dht11_examples(self):
        # Aosong, DHT11: 53 %RH and 24.4 C; -10.1 C.
        self.assertEqual(dht.dht11(b"\x35\x00\x18\x04\x51"), [2_440, 530])
        self.assertEqual(dht.dht11(b"\x35\x00\x0a\x81\xc0"), [-1_010, 530])

    def test_out_of_range_and_damaged(self):
        self.assertEqual(dht.dht22(b"\x03\xe9\x03\x21\x10"), [None, None])
        self.assertEqual(dht.dht11(b"\x60\x00\x3d\x00\x9d"), [None, None])
        for frame in (b"\x35\x00\x18\x04\x52", b"\x35\x0a\x18\x04\x5b", bytes(5)):
            with self.assertRaises(part.SensorError):
                dht.dht11(frame)


class Dust(unittest.TestCase):
    def test_sds011_example(self):
        # Nova Fitness, SDS011 control protocol: 123.6 and 261.8 ug/m3.
        frame = b"\xaa\xc0\xd4\x04\x3a\x0a\xa1\x60\x1d\xab"
        self.assertTrue(dust.sds_valid(frame))
        self.assertEqual(dust.sds_values(frame), [1_236, 2_618])

    def test_pms5003_takes_the_atmospheric_figures(self):
        frame = b"BM\x00\x1c" + bytes(6) + b"\x00\x01\x00\x0c\x00\x19" + bytes(14)
        frame += (sum(frame)).to_bytes(2, "big")
        self.assertTrue(dust.pms_valid(frame))
        self.assertEqual(dust.pms_values(frame), [120, 250])
        self.assertEqual(dust.pms_values(b"BM" + b"\xff" * 30), [None, None])
        # A PMS3003 sends another layout, and says so by its length.
        other = b"BM\x00\x14" + frame[4:30]
        self.assertFalse(dust.pms_valid(other + sum(other).to_bytes(2, "big")))


class Gnss(unittest.TestCase):
    def test_sentences_of_the_receiver_description(self):
        rmc = b"$GPRMC,083559.00,A,4717.11437,N,00833.91522,E,0.004,77.52,091202,,,A*57\r\n"
        gga = b"$GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,*5B\r\n"
        zda = b"$GPZDA,082710.00,16,09,2002,00,00*64\r\n"
        self.assertEqual(gnss.sentence(rmc)[9], b"091202")
        self.assertEqual(gnss.sentence(gga)[6], b"1")
        self.assertEqual(gnss.sentence(zda)[4], b"2002")
        # 2002 is what a receiver says whose week counter rolled over.
        self.assertEqual(gnss.dated_ms(gnss.sentence(rmc)), -1)

    def test_damaged_sentences(self):
        good = b"$GPZDA,082710.00,16,09,2002,00,00*64"
        for at in range(len(good)):
            damaged = good[:at] + bytes([good[at] ^ 0x02]) + good[at + 1 :]
            self.assertEqual(gnss.sentence(damaged), [], at)
        for line in (b"", b"$", b"*64", good[1:], good[:-1], good + b"0"):
            self.assertEqual(gnss.sentence(line), [])

    def test_dates(self):
        # A day of each month, two leap days, the last second of a year.
        for utc in range(1_767_225_600, 1_767_225_600 + 9 * 366 * 86_400, 86_400 * 13 + 40_003):
            clock, date = stamped(utc)
            line = sealed("GNRMC," + clock + ".00,A,,,,,,," + date + ",,,A,V")
            self.assertEqual(gnss.dated_ms(gnss.sentence(line)), utc * 1_000, (clock, date))

    def test_no_time_without_a_valid_fix(self):
        for clock, status, date, mode in (
            ("083559.00", "V", "091226", "A"),
            ("083559.00", "A", "091226", "E"),
            ("083559.50", "A", "091226", "A"),
            ("083560.00", "A", "091226", "A"),
            ("0835xx.00", "A", "091226", "A"),
            ("083559.00", "A", "091326", "A"),
            ("083559.00", "A", "320126", "A"),
            ("083559.00", "A", "", "A"),
            ("", "A", "091226", "A"),
        ):
            text = "GNRMC," + clock + "," + status + ",,,,,,," + date + ",,," + mode + ",V"
            fields = gnss.sentence(sealed(text))
            self.assertEqual(gnss.dated_ms(fields), -1, text)


class Adc(unittest.TestCase):
    def test_the_line_through_two_points(self):
        for entry in (
            (12, 0, 34, 10, 500_000, 1_000, 2_000_000, 4_000),
            (12, 0, 34, 10, 2_000_000, 4_000, 500_000, 1_000),
            (12, 0, 34, 11, 400_000, -2_500, 2_000_000, 1_500),
            (12, 0, 34, 11, 400_000, 1_500, 2_000_000, -2_500),
        ):
            for microvolts in range(150_000, 2_450_000, 1_234):
                share = (microvolts - entry[4]) / (entry[6] - entry[4])
                expected = entry[5] + share * (entry[7] - entry[5])
                found = adc.on_line(microvolts, entry)
                self.assertTrue(abs(found - expected) <= 0.51, (entry, microvolts, found))
