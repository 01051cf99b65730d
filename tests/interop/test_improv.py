"""An Improv client that is not ours sets up a board: the SDK of browsers, on the real image."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import serial

from gateway.board.console import session
from gateway.core.ids import device_id, device_name
from gateway.device.board_image import pack_board
from gateway.device.image import build_image
from simulator.virtual import VirtualBoard
from tests.board.conftest import virtual_board
from tests.unit.firmware.bench import make_config

pytestmark = pytest.mark.slow

__all__ = ["virtual_board"]

HERE = Path(__file__).parent
AIR = {"home": "secret-secret", "café": "another-one", "open": ""}
READY, PROVISIONING, PROVISIONED = 2, 3, 4
WAIT_S = 150


@contextmanager
def bridge(path: str) -> Iterator[int]:
    """A TCP port behind which is the serial port at path."""
    with (
        serial.Serial(path, 115_200, timeout=0.02) as line,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        over = threading.Event()

        def up(peer: socket.socket) -> None:
            with suppress(OSError):
                while data := peer.recv(4_096):
                    line.write(data)

        def run() -> None:
            with suppress(OSError):
                peer, _ = server.accept()
                with peer:
                    threading.Thread(target=up, args=(peer,), daemon=True).start()
                    while not over.is_set():
                        peer.sendall(line.read(4_096))

        running = threading.Thread(target=run, daemon=True)
        running.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            running.join(5)


class Sdk:
    def __init__(self, node: str, folder: Path) -> None:
        self._command = [node, str(HERE / "improv_client.mjs")]
        self._folder = folder / "improv-wifi-serial-sdk"

    def ask(self, board: VirtualBoard, *calls: list[Any]) -> list[dict[str, Any]]:
        """What the SDK says to each call: [name of its method, arguments...]."""
        with bridge(board.pty) as port:
            done = subprocess.run(
                [*self._command, str(port), str(self._folder)],
                input=json.dumps(calls),
                capture_output=True,
                text=True,
                timeout=WAIT_S,
                check=False,
            )
        assert done.returncode == 0, done.stdout + done.stderr + board.console
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def sdk(require_component, node_modules) -> Sdk:
    return Sdk(require_component("node"), node_modules("interop"))


@pytest.fixture(scope="module")
def image():
    return build_image(architecture="bytecode")


def whoami(board: VirtualBoard) -> dict[str, Any]:
    """As the raw REPL tells it, which a Ctrl-C leads to while Improv is served, too."""
    with session(board.pty) as console:
        return dict(console.whoami().said)


def test_a_board_without_anything_is_set_up_by_the_sdk(sdk: Sdk, image, virtual_board) -> None:
    board = virtual_board(file_system=pack_board(image, version="0.1.0"), wifi=AIR)
    assert board.wait_for("config.absent")
    hello, seen, wrong, absent, right, again, unknown = sdk.ask(
        board,
        ["initialize", 15_000],
        ["scan"],
        ["provision", "home", "wrong-wrong"],
        ["provision", "nobody's", "secret-secret"],
        ["provision", "home", "secret-secret"],
        ["requestCurrentState"],
        ["getHostname"],
    )
    assert hello["state"] == READY
    info = hello["answer"]
    assert (info["firmware"], info["version"], info["chipFamily"]) == (
        "cairn",
        "0.1.0 r0",
        "esp32",
    )
    assert {one["name"]: one["secured"] for one in seen["answer"]} == {
        "home": True,
        "café": True,
        "open": False,
    }
    for refused in (wrong, absent):
        assert refused["error"] == "UNABLE_TO_CONNECT"
        assert refused["states"][0] == PROVISIONING
    assert right["answer"] is None
    assert right["states"][-2:] == [PROVISIONING, PROVISIONED]
    assert (again["state"], again["nextUrl"]) == (PROVISIONED, None), "it knows no network yet"
    assert unknown["error"] == "UNKNOWN_RPC_COMMAND"
    told = whoami(board)
    assert told["wifi"], "what worked is kept"
    assert told["device"] == info["name"]
    assert device_name(device_id(bytes.fromhex(told["public_key"]))) == info["name"]


def test_a_configured_board_leads_to_its_network_and_is_heard_no_more_once_online(
    sdk: Sdk, image, virtual_board
) -> None:
    settings = make_config(time_host="127.0.0.1", time_port=8080, broker_host="127.0.0.1")
    offered = pack_board(image, version="0.1.0", offer=settings.encode())
    board = virtual_board(file_system=offered, wifi=AIR)
    assert board.wait_for("wifi.absent")
    hello, right = sdk.ask(board, ["initialize", 15_000], ["provision", "open", ""])
    assert hello["state"] == READY
    page = f"http://127.0.0.1:8080/flash#station={hello['answer']['name']}"
    assert right["nextUrl"] == page
    since = len(board.console)
    board.press_reset()
    assert board.wait_for("time.unreachable", since=since), board.console
    # It looks once a second whether it is needed.
    time.sleep(3)
    (silent,) = sdk.ask(board, ["initialize", 5_000])
    assert silent["error"] == "Improv Wi-Fi Serial not detected"
    # The same board, whose network has gone: it has to be named anew.
    del board.air["open"]
    since = len(board.console)
    board.press_reset()
    assert board.wait_for("wifi.unknown", since=since)
    hello, right = sdk.ask(board, ["initialize", 15_000], ["provision", "café", "another-one"])
    assert hello["state"] == READY
    assert right["nextUrl"] == page
    assert whoami(board)["config"]["broker"]["host"] == "127.0.0.1"
