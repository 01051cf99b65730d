"""Time and staying alive, on CPython and on MicroPython alike: integers, eras, and what a boot
leaves to the next. The hex texts pin what lies in flash and retained memory.
"""

import binascii
import unittest

from cairn import epoch, limits, lives, sntp, wire
from cairn.clock import Clock
from cairn.faults import Faults
from cairn.grid import Grid
from cairn.overlay import borrow

NONCE = bytes(range(1, 9))
UTC_MS = 1_795_521_600_123  # 2026-11-24 12:00:00.123
ANSWER = (
    "240206ec00000800000004000a000001000000000000000001020304050607"
    "08eeaffac01f7ced92eeaffac01f7ced92"
)
ERA_1 = "0000000080000000"  # 2036-02-07 06:28:16.5
LIVES = "83040102"
BOOT = "84456c69766573071a000186a08183061a000f42401903e8"


class Ticks:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


class Memory:
    def __init__(self):
        self.files = {}

    def read(self, name):
        return self.files.get(name)

    def write(self, name, data):
        self.files[name] = bytes(data)


class Console:
    def __init__(self):
        self.told = []
        self.ticks = Ticks()

    def report(self, code, detail):
        self.told.append((code, detail))


class SntpCase(unittest.TestCase):
    def test_an_answer(self):
        packet = binascii.unhexlify(ANSWER)
        self.assertEqual(len(packet), 48)
        self.assertEqual(sntp.parse(packet, NONCE, UTC_MS), (UTC_MS, UTC_MS, 32))
        # 68 years off, and the next era.
        near = UTC_MS + 67 * 365 * limits.DAY_MS
        self.assertEqual(sntp.parse(packet, NONCE, near), (UTC_MS, UTC_MS, 32))
        self.assertEqual(sntp.unix_ms(binascii.unhexlify(ERA_1), UTC_MS), 2_085_978_496_500)

    def test_refusals(self):
        packet = bytearray(binascii.unhexlify(ANSWER))
        self.assertEqual(sntp.parse(packet[:47], NONCE, UTC_MS), "sntp.packet")
        self.assertEqual(sntp.parse(bytes(packet), bytes(8), UTC_MS), "sntp.origin")
        packet[1] = 0
        packet[12:16] = b"DENY"
        self.assertEqual(sntp.parse(bytes(packet), NONCE, UTC_MS), "sntp.denied")
        packet[12:16] = b"RATE"
        self.assertEqual(sntp.parse(bytes(packet), NONCE, UTC_MS), "sntp.rate")
        packet[1] = 16
        self.assertEqual(sntp.parse(bytes(packet), NONCE, UTC_MS), "sntp.unsynchronised")

    def test_the_request(self):
        self.assertEqual(sntp.request(NONCE), b"\x23" + bytes(39) + NONCE)


class ClockCase(unittest.TestCase):
    def test_sources_in_their_order(self):
        ticks = Ticks()
        clock = Clock(ticks, simulated=False)
        self.assertEqual(clock.set_sntp(UTC_MS, 0, 5), None)
        clock.set_gateway(UTC_MS, 0, 20)
        ticks.now = 7_200_000
        self.assertEqual(clock.now(), (UTC_MS + 7_200_000, wire.SOURCE_GATEWAY, 380))
        self.assertEqual(clock.set_sntp(UTC_MS + 7_200_100, 7_200_000, 30), 100)
        self.assertEqual(clock.now(), (UTC_MS + 7_200_100, wire.SOURCE_SNTP, 30))
        self.assertEqual(clock.set_sntp(UTC_MS + 7_205_101, 7_200_000, 30), None)

    def test_held_time(self):
        clock = Clock(Ticks(), simulated=False)
        self.assertTrue(clock.set_held(UTC_MS + 300_000, UTC_MS, 40))
        self.assertEqual(clock.now(), (UTC_MS + 300_000, wire.SOURCE_HELD, 15_040))

    def test_epochs(self):
        self.assertEqual(epoch.unix_ms(848_836_800, 2000), 1_795_521_600_000)
        self.assertEqual(epoch.unix_ms(1_795_521_600, 1970), 1_795_521_600_000)
        self.assertEqual(epoch.unix_ms(5, 2000), None)
        self.assertEqual(epoch.board_seconds(UTC_MS, 2000), 848_836_800)


class LivesCase(unittest.TestCase):
    def test_the_file(self):
        files = Memory()
        self.assertEqual(lives.load(files), (0, 0, 0))
        lives.store(files, 4, 1, 2)
        self.assertEqual(binascii.hexlify(files.files[lives.FILE][:-4]).decode(), LIVES[:8])
        self.assertEqual(lives.load(files), (4, 1, 2))
        files.files[lives.FILE] = files.files[lives.FILE][:-1] + b"x"
        self.assertEqual(lives.load(files), (0, 0, 0))

    def test_boots_without_a_time(self):
        data = lives.pack(7, 100_000, [(6, 1_000_000, 1_000)])
        self.assertEqual(binascii.hexlify(data[:-4]).decode(), BOOT)
        found = lives.unpack(data, lives.RESET_SOFTWARE)
        self.assertEqual(found, [(6, 1_110_000, 11_000), (7, 110_000, 10_000)])
        self.assertEqual(lives.unpack(data[:-1] + b"x", 4), [])
        self.assertEqual(lives.unpack(None, 4), [])


class GridCase(unittest.TestCase):
    def test_points_of_a_grid(self):
        ticks = Ticks()
        clock = Clock(ticks, simulated=False)
        waits = []

        class Retimed:
            up = False

            async def wait(self, timeout_ms):
                waits.append(timeout_ms)
                ticks.now += timeout_ms
                return self.up

            def clear(self):
                self.up = False

        retimed = Retimed()
        grid = Grid(clock, retimed, b"\x00\x00\x10\x00" + bytes(12), 60_000)
        self.assertEqual([self.next(grid), self.next(grid)], [4_096, 64_096])
        retimed.up = True
        self.assertEqual(self.next(grid), None)
        self.assertEqual(waits, [4_096, 60_000, 60_000])

    def next(self, grid):
        try:
            grid.next().send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("it waits")


class OverlayCase(unittest.TestCase):
    def test_borrowed_modules_work_again_and_again(self):
        for _ in range(3):
            self.assertEqual(borrow("announce").FILE, "announced")
        # One that is loaded stays what it is.
        self.assertTrue(borrow("lives").unpack is lives.unpack)


class FaultsCase(unittest.TestCase):
    def test_bounded(self):
        console = Console()
        faults = Faults(console)
        for number in range(50):
            faults.note("code." + str(number % 20), "detail")
        self.assertEqual(len(faults.rows), limits.FAULTS_MAX)
        for _ in range(100):
            faults.note("flood", "detail")
        self.assertEqual([told[0] for told in console.told].count("flood"), 1)


if __name__ == "__main__":
    unittest.main()
