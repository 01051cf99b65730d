"""Runs on MicroPython's unix port: boards/asyncio_base.py, directory_files.py and esp32.py on the
interpreter's own asyncio, sockets, Mbed TLS and littlefs; machine, network, esp32 and aioespnow
are simulator/virtual/chip. Arguments: the ports and files that test_chip.py made.
"""

# There is no pathlib, and littlefs has to be mounted before the board is imported.
# ruff: noqa: E402, PT018, PTH123, PTH208, T201

import asyncio
import gc
import sys

import vfs
from ram_disk import BLOCK, RamDisk

BLOCKS = 64

disk = RamDisk(BLOCKS)
vfs.VfsLfs2.mkfs(disk)
vfs.mount(vfs.VfsLfs2(disk), "/data")

import os

import aioespnow
import esp32
import machine
import network
from cairn import limits, regions, wire
from cairn.boards.directory_files import DirectoryFiles
from cairn.boards.esp32 import Esp32Board

PLAIN, TLS, SILENT, OTHER_NAME, DEAD, DATAGRAMS = [int(port) for port in sys.argv[1:7]]
FOLDER = sys.argv[7]


def refusal_of(call, *args):
    try:
        call(*args)
    except OSError as error:
        return error
    raise AssertionError("no OSError")


async def fault_of(coroutine):
    try:
        await coroutine
    except OSError as error:
        return str(error)
    raise AssertionError("no OSError")


def content(name):
    with open(FOLDER + "/" + name, "rb") as file:
        return file.read()


def files_on_littlefs():
    files = DirectoryFiles("/data")
    assert files.read("chain") is None
    files.remove("chain")
    files.write("chain", b"old and longer")
    files.write("chain", b"new")
    files.append("outbox/00000002", b"one")
    files.append("outbox/00000002", b"two")
    files.write("outbox/00000001", b"")
    assert files.read("chain") == b"new"
    assert files.read("outbox/00000002") == b"onetwo"
    assert files.names("") == ["chain", "outbox/00000001", "outbox/00000002"]
    assert files.names("outbox/") == ["outbox/00000001", "outbox/00000002"]
    assert files.names("none/") == []
    error = refusal_of(files.write, "chain", bytes(BLOCK * BLOCKS))
    assert error.errno == 28, error  # ENOSPC
    assert files.read("chain") == b"new"
    assert sorted(os.listdir("/data")) == ["chain", "outbox"], "half a file was left"
    for name in ("/data/chain.new", "/data/outbox/00000003.new"):
        with open(name, "wb") as file:
            file.write(b"torn")
    again = DirectoryFiles("/data")
    assert os.listdir("/data/outbox") != [] and again.names("outbox/") == files.names("outbox/")
    assert "chain.new" not in os.listdir("/data")
    assert "00000003.new" not in os.listdir("/data/outbox")
    for name in again.names(""):
        again.remove(name)
    assert again.names("") == []


async def wifi_first(board):
    limits.STREAM_TIMEOUT_MS = 400
    assert "no Wi-Fi: status" in await fault_of(board.stream("localhost", PLAIN, None))
    network.World.networks = {"home": "secret"}
    esp32.World.flash = {("cairn", "ssid"): b"home", ("cairn", "psk"): b"secret"}
    limits.STREAM_TIMEOUT_MS = 5_000
    await board.recover(1)


async def read_exactly(stream, size):
    data = b""
    while len(data) < size:
        part = await stream.read(size - len(data))
        assert part, "the stream ended"
        data += part
    return data


async def echoes(board, port, ca):
    stream = await board.stream("localhost", port, ca)
    for size in (1, 300, 40_000):
        data = bytes([size & 255]) * size
        await stream.write(data)
        assert await read_exactly(stream, size) == data
    await stream.write(b"bye")
    assert await read_exactly(stream, 3) == b"bye"
    assert await stream.read(10) == b""
    stream.close()
    stream.close()
    assert "closed" in await fault_of(stream.write(b"x"))


async def first_use(board, port, ca):
    stream = await board.stream("localhost", port, ca)
    try:
        await stream.write(b"hello")
        await stream.read(1)
    finally:
        stream.close()


async def refused(board, port, ca, why):
    fault = await fault_of(first_use(board, port, ca))
    assert why in fault, fault


async def streams(board):
    await echoes(board, PLAIN, None)
    await echoes(board, TLS, content("ca.crt"))
    await echoes(board, TLS, content("ca.der"))
    await refused(board, TLS, content("other.crt"), "TLS: ")
    await refused(board, OTHER_NAME, content("ca.crt"), "TLS: ")
    await refused(board, TLS, b"garbage", "TLS: the CA certificate is damaged")
    await refused(board, PLAIN, content("ca.crt"), "")
    assert await fault_of(board.stream("localhost", DEAD, None))
    assert await fault_of(board.stream("no.such.host.invalid", PLAIN, None))
    limits.STREAM_TIMEOUT_MS = 300
    # Connected, but TLS never answers: the first read or write is what waits.
    silent = await board.stream("localhost", SILENT, content("ca.crt"))
    ended = board.event()

    async def read():
        assert await fault_of(silent.read(1))
        ended.set()

    board.spawn(read())
    await board.sleep(50)
    assert not await ended.wait(0)
    silent.close()
    assert await ended.wait(2_000), "close() did not wake the reader"


async def streams_leave_nothing_open(board):
    before = len(os.listdir("/proc/self/fd"))
    for port in (DEAD, OTHER_NAME, PLAIN) * 5:
        await fault_of(first_use(board, port, content("ca.crt")))
    # And what is given up while it connects: nobody answers on this address of the test network.
    limits.STREAM_TIMEOUT_MS = 50
    await fault_of(board.stream("192.0.2.1", DEAD, None))
    limits.STREAM_TIMEOUT_MS = 5_000
    assert len(os.listdir("/proc/self/fd")) == before


async def datagrams(board):
    answer = await board.datagram("localhost", DATAGRAMS, b"ask", 2_000)
    assert answer == b"told ask"
    start = board.ticks()
    assert "in time" in await fault_of(board.datagram("localhost", DATAGRAMS, b"mute", 200))
    assert 190 <= board.ticks() - start < 2_000


async def events(board):
    event, done = board.event(), board.event()
    assert not await event.wait(20)
    assert not await event.wait(0)
    woken = []

    async def waiter(timeout_ms):
        woken.append(await event.wait(timeout_ms))
        if len(woken) == 3:
            done.set()

    for timeout_ms in (None, 5_000, None):
        board.spawn(waiter(timeout_ms))
    await board.sleep(5)
    assert woken == []
    event.set()
    assert await done.wait(5_000)
    assert woken == [True, True, True]


class Mains:
    """As much of a Config as equip() reads."""

    duty = (wire.DUTY_MAINS, 0, 0)
    region = 0
    sensors = ()


async def beacons(board):
    assert board.radios() == ()
    assert await board.radio_receive() is None
    board.equip(Mains)
    assert board.radios() == (regions.ESP_NOW,)
    assert board.radio_send(regions.ESP_NOW, 0, 700, b"beacon")
    await board.sleep(300)
    power = network.WLAN(network.WLAN.IF_STA).settings["txpower"]
    assert aioespnow.World.sent == [(b"beacon", 7)] and power == 20
    import time

    aioespnow.World.air.append([b"sender", b"heard", -70, time.ticks_ms()])
    before = board.ticks()
    radio, channel, rssi, snr, ticks, frame = await board.radio_receive()
    assert (radio, channel, rssi, snr, frame) == (regions.ESP_NOW, 0, -7_000, None, b"heard")
    assert before - 5 <= ticks <= board.ticks()
    await board.recover(2)
    assert board.radio_send(regions.ESP_NOW, 0, 2_000, b"again")


async def rest(board):
    signature = board.sign(b"message")
    assert len(board.public_key()) == 32 and len(signature) == 64
    assert len(board.entropy(40)) == 40
    board.feed()
    assert board.info()[0] > 0
    assert board.retained() is None
    assert board.retain(bytes(2_000)) and not board.retain(bytes(2_001))
    assert board.retained() == bytes(2_000)
    board.deep_sleep(60_000)
    assert machine.World.slept_ms == 60_000


class Large:
    def __init__(self):
        self.data = bytearray(100_000)

    async def run(self, board):
        await board.sleep(5)
        self.data[0] = 1


async def a_task_that_ended_keeps_nothing(board):
    # In a function of its own: this one's frame must not keep it either.
    def start():
        board.spawn(Large().run(board))

    gc.collect()
    before = gc.mem_alloc()
    start()
    for _ in range(4):
        await board.sleep(20)
        gc.collect()
    kept = gc.mem_alloc() - before
    assert kept < 10_000, kept


async def a_task_that_fails_restarts(board):
    async def fail():
        raise ValueError("a defect")

    board.spawn(fail())
    await board.sleep(20)
    assert machine.World.resets == 1


async def main():
    files_on_littlefs()
    print("ok files_on_littlefs")
    board = Esp32Board()
    await wifi_first(board)
    cases = (streams, streams_leave_nothing_open, datagrams, events, beacons, rest)
    cases += (a_task_that_ended_keeps_nothing, a_task_that_fails_restarts)
    for case in cases:
        await case(board)
        print("ok " + case.__name__)


asyncio.run(main())
print("done")
