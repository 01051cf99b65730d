"""The hardware of the runner's board: flash that loses power, radio, Wi-Fi, datagrams."""

import json
import socket
import threading

import pytest

from simulator.micropython.host import START_MS, Runner
from tests.device.runner_rig import MakeRunner, run_program, texts

FLASH = """
import errno, os
async def run(board):
    found = []
    def attempt(call, *arguments):
        try:
            call(*arguments)
            found.append(0)
        except OSError as error:
            found.append(error.errno)
    attempt(open, "/flash/none", "rb")
    attempt(os.stat, "/flash/none")
    attempt(os.remove, "/flash/none")
    attempt(open, "/flash/none/inner", "wb")
    os.mkdir("/flash/inner")
    attempt(os.mkdir, "/flash/inner")
    attempt(open, "/flash/inner", "rb")
    board.fs.write("kept", b"old")
    attempt(board.fs.write, "kept", bytes(70_000))
    found.append(len(board.fs.read("kept")))
    attempt(board.fs.append, "kept", bytes(70_000))
    found.append(len(board.fs.read("kept")))
    found.append(os.statvfs("/flash")[2])
    print(found)
"""


def test_files_have_the_esp32s_error_numbers(runner: Runner) -> None:
    said = texts(run_program(runner, FLASH, 10, flash_bytes=65_536))
    assert said == ["[2, 2, 2, 2, 17, 21, 28, 3, 28, 3, 16]"]


WRITES = """
async def run(board):
    if board.fs.read("pointer") is None:
        for name, data in (("pointer", b"old"), ("log", b""), ("gone", b"x")):
            board.fs.write(name, data)
    await board.sleep(10)
    board.fs.write("pointer", b"new")
    board.fs.append("log", b"0123456789")
    board.fs.remove("gone")
    print("done")
"""
# The operations of WRITES in order, and what of the flash each part of each leaves.
OPERATIONS = [
    "store pointer.new", "store pointer.new", "rename pointer.new", "append log", "remove gone",
]  # fmt: skip


@pytest.mark.parametrize("part", ["none", "torn", "whole"])
def test_power_cuts_fall_before_inside_and_after_an_operation(runner: Runner, part: str) -> None:
    for at, operation in enumerate(OPERATIONS):
        runner.add(at, program=WRITES, seed=at)
        runner.boot([at])
        runner.run_for(5, boards=[at])
        runner.arm(at, after=at, part=part, back_ms=5_000, cause=3)
        runner.run_for(100, boards=[at])
        *_, off = runner.happenings()
        assert (off.kind, off.values["operation"]) == ("off", operation)
        flash = runner.flash(at)
        done = at + (part == "whole")
        if part != "torn":
            assert flash["pointer"] == (b"new" if done > 2 else b"old")
            assert flash["log"] == (b"0123456789" if done > 3 else b"")
            assert ("gone" in flash) == (done < 5)
            assert flash.get("pointer.new") == [None, b"", b"new", None, None, None][done]
        assert flash["pointer"] in (b"old", b"new")
        assert b"0123456789".startswith(flash["log"])
        # It comes back by itself, for brown-out was the cause, and does all of it.
        runner.run_for(6_000, boards=[at])
        up, said = runner.happenings()
        assert (up.values, said.values["text"]) == ({"boot": 2, "cause": 3}, "done")
        assert runner.flash(at)["pointer"] == b"new"


def test_what_a_cut_tears_is_a_prefix_and_not_always_the_same(runner: Runner) -> None:
    kept = set()
    for seed in range(20):
        runner.add(seed, program=WRITES, seed=seed)
    runner.boot()
    runner.run_for(5)
    for seed in range(20):
        runner.arm(seed, after=3)
    runner.run_for(100)
    for seed in range(20):
        kept.add(runner.flash(seed)["log"])
    assert len(kept) >= 5
    assert all(b"0123456789".startswith(data) for data in kept)


RADIO = """
async def run(board):
    print(board.radios(), board.radio_send(2, 0, 0, b"x"))
    board.radio_listen(0, 2)
    while True:
        heard = await board.radio_receive()
        print(*heard)
        print(board.radio_send(heard[0], heard[1], 1400, heard[5] + b"!"), board.ticks())
"""


def test_frames_go_and_come(runner: Runner) -> None:
    runner.add(0, radios=(0, 1), program=RADIO)
    runner.boot()
    runner.run_for(60_000)
    runner.frame(0, 0, 2, -9_850, -725, START_MS + 58_000, b"\x00\xff")
    runner.frame(0, 1, 0, -6_000, None, START_MS + 59_000, b"now")
    runner.run_for(1_000)
    happened = runner.happenings()
    assert texts(happened) == [
        "(0, 1) None", "0 2 -9850 -725 58000 b'\\x00\\xff'", "True 60000",
        "1 0 -6000 None 59000 b'now'", "True 60000",
    ]  # fmt: skip
    sent = [one for one in happened if one.kind == "radio"]
    assert [one.values["frame"] for one in sent] == [b"\x00\xff!", b"now!"]
    assert sent[0].values | {"frame": b""} == {
        "radio": 0, "channel": 2, "power_cdbm": 1400, "frame": b"",
    }  # fmt: skip
    assert [one.values for one in happened if one.kind == "listen"] == [{"radio": 0, "channel": 2}]


NETWORK = """
import json
async def attempt(board, port):
    try:
        stream = await board.stream("echo.test", port, None)
        await stream.write(b"hello")
        return await stream.read(100), stream
    except OSError as error:
        return error.errno, None
async def run(board):
    with open("/lib/echo.json") as file:
        host, port = json.load(file)
    answer, stream = await attempt(board, port)
    print(answer, board.info()[3])
    try:
        print(await stream.read(100))
    except OSError as error:
        print("lost", error.errno, board.ticks(), board.info()[3])
    print((await attempt(board, port))[0])
    await board.recover(2)
    print((await attempt(board, port))[0], board.info()[3])
    await board.recover(1)
    await board.sleep(1_000_000)
"""


def network_files(port: int) -> dict[str, bytes]:
    return {"echo.json": json.dumps(["127.0.0.1", port]).encode()}


def test_wifi_goes_loudly_and_the_board_brings_it_back(runner: Runner, echo_port: int) -> None:
    runner.add(0, program=NETWORK, extra=network_files(echo_port))
    runner.resolve({"echo.test": ("127.0.0.1", None)})
    runner.boot()
    runner.run_for(1_000)
    assert texts(runner.happenings()) == ["b'hello' -61"]
    runner.set_rssi(0, -80)
    runner.wifi(0, up=False, recovers_at=2)
    runner.run_for(10_000)
    happened = runner.happenings()
    assert texts(happened) == ["lost 104 1000 None", "118", "b'hello' -80"]
    assert [one.values["stage"] for one in happened if one.kind == "recover"] == [2, 1]


SILENT = """
import json
async def run(board):
    with open("/lib/echo.json") as file:
        host, port = json.load(file)
    stream = await board.stream(host, port, None)
    async def reader():
        print(await stream.read(100))
    board.spawn(reader())
    await board.sleep(10_000)
    await stream.write(b"nobody hears this")
    await board.sleep(10_000)
    print("still waiting", board.ticks())
    stream.close()
"""


def test_wifi_goes_silently(make_runner: MakeRunner, echo_port: int) -> None:
    runner = make_runner(strict=False)
    runner.add(0, program=SILENT, extra=network_files(echo_port))
    runner.boot()
    runner.run_for(1_000)
    runner.wifi(0, up=False, silent=True)
    runner.run_for(5_000)
    runner.wifi(0, up=True)
    runner.run_for(20_000)
    assert texts(runner.happenings()) == ["still waiting 20000"]


DATAGRAM = """
async def run(board):
    for host in ("time.test", "silent.test"):
        try:
            print(await board.datagram(host, 123, b"what time", 2_000), board.ticks())
        except OSError as error:
            print(error.errno, board.ticks())
"""


def test_datagrams(runner: Runner) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
    ):
        server.bind(("127.0.0.1", 0))
        silent.bind(("127.0.0.1", 0))
        server.settimeout(10)

        def answer() -> None:
            data, peer = server.recvfrom(100)
            silent.sendto(b"forged", peer)
            server.sendto(data[::-1], peer)

        threading.Thread(target=answer, daemon=True).start()
        runner.resolve({"time.test": server.getsockname(), "silent.test": silent.getsockname()})
        said = texts(run_program(runner, DATAGRAM, 10_000))
    assert said == ["b'emit tahw' 0", "116 2000"]


def test_names_resolve_for_boards_that_come_later(runner: Runner, echo_port: int) -> None:
    runner.resolve({"echo.test": ("127.0.0.1", echo_port)})
    program = (
        "async def run(board):\n"
        "    stream = await board.stream('echo.test', 1, None)\n"
        "    await stream.write(b'x')\n"
        "    print(await stream.read(1))\n"
    )
    assert texts(run_program(runner, program, 100)) == ["b'x'"]
