"""What the acceptance has around it: a gateway process with TLS and its own CA, boards that were
flashed by the real command, and a page that tells boards something wrong about the network.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from nacl.signing import SigningKey

from gateway.board.ports import opened
from gateway.board.repl import Repl
from gateway.cli.gateway_child import GatewayChild
from gateway.core.cbor_profile import encode
from gateway.core.cose import Role
from gateway.core.genesis import DAY_MS
from gateway.core.statements import open_statement, statement_payload
from gateway.core.verdicts import Verdict
from gateway.shell.network import NetworkKeys, create_network, sign_with
from simulator.virtual.board import BME280, VirtualBoard
from tests.board.official_image import official_image
from tests.unit.firmware.certificates import Authority, make_authority

HOST = "localhost"
WIFI, PASSWORD = "home", "correct horse"
SECONDS_MAX = 240
PLACE = "52.52000,13.40500"
# A board in a hurry: a sample and a message each second. Some thirteen fill the RAM in which they
# wait for one flash write, and leave together.
STATION = (
    *("--wifi", WIFI, "--wifi-password-file", "-", "--place", PLACE),
    *("--sensor", "bme280", "--sample-every", "1", "--message-every", "1", "--yes"),
)


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)

    def failure(self) -> dict[str, Any]:
        """The one link that is broken."""
        links = self.document.get("links") or self.document["doctor"]["links"]
        (found,) = [one for one in links if one["state"] == "FAILED"]
        return found


def cairn(*arguments: object, folder: Path, given: str = "") -> Said:
    """Run the real command line."""
    done = start(*arguments, folder=folder, given=given)
    out, err = done.communicate(given, timeout=SECONDS_MAX)
    return Said(done.returncode, out, err)


def start(*arguments: object, folder: Path, given: str = "") -> "subprocess.Popen[str]":
    """Begin a command that is talked about while it runs."""
    environment = {name: one for name, one in os.environ.items() if not name.startswith("CAIRN_")}
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Town:
    """The gateway of one network. Boards call it by the name localhost, its certificate's."""

    folder: Path
    keys: NetworkKeys
    authority: Authority
    child: GatewayChild

    @property
    def url(self) -> str:
        return self.child.addresses.http

    @property
    def onboarding(self) -> dict[str, Any]:
        found = httpx.get(f"{self.url}/v1/onboarding", trust_env=False, timeout=30)
        return found.raise_for_status().json()

    def seen(self, name: str) -> dict[str, Any]:
        found = httpx.get(f"{self.url}/v1/onboarding/{name}", trust_env=False, timeout=30)
        return found.raise_for_status().json()

    def approve(self, name: str) -> None:
        done = cairn("station", "approve", name, "--data", self.keys.folder, folder=self.folder)
        assert done.code == 0, done.err


@contextmanager
def town(openssl: str, folder: Path, *, admission_policy: str = "approved") -> Iterator[Town]:
    """A network, by default one whose operator approves each station."""
    authority = make_authority(openssl, folder / "ca")
    certificate, key = authority.issue(HOST)
    data = folder / "data"
    keys = create_network(
        data, "acceptance", simulated=False, epoch_zero_ms=now_ms() // DAY_MS * DAY_MS
    )
    settings = {
        "admission_policy": admission_policy,
        "public_host": HOST,
        "mqtt_ca_file": str(authority.certificate),
    }
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
    (data / "cairn.toml").write_text("".join(lines))
    child = GatewayChild(data, "--mqtt-tls-cert", str(certificate), "--mqtt-tls-key", str(key))
    child.start()
    try:
        yield Town(folder, keys, authority, child)
    finally:
        child.stop()


@contextmanager
def out_of_force(place: Town, folder: Path) -> Iterator[GatewayChild]:
    """Another gateway of the same network, with plain MQTT; its key has lapsed an hour ago."""
    shutil.copytree(
        place.keys.folder,
        folder,
        ignore=shutil.ignore_patterns("gateway.*", "*.db*", "cairn.toml"),
    )
    shutil.copytree(place.keys.folder / "keys", folder / "keys", dirs_exist_ok=True)
    root = SigningKey(bytes.fromhex((folder / "keys" / "root.key").read_text()))
    network_id = place.keys.network_id
    statements = []
    for data in place.keys.statements:
        stated = open_statement(data, network_id, place.keys.genesis.root_key)
        assert not isinstance(stated, Verdict)
        if stated.role is Role.GATEWAY:
            late_ms = now_ms() - 3_600_000
            stated = replace(stated, not_before_ms=late_ms - DAY_MS, not_after_ms=late_ms)
        signed, _ = sign_with(root, network_id, Role.ROOT, statement_payload(stated))
        statements.append(signed)
    (folder / "statements.cbor").write_bytes(encode(statements))
    child = GatewayChild(folder)
    child.start()
    try:
        yield child
    finally:
        child.stop()


class Bent:
    """A page that answers /v1/onboarding with something changed: what a board is told wrong."""

    def __init__(self, document: dict[str, Any]) -> None:
        text = json.dumps(document).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def bent(place: Town, change: Callable[[dict[str, Any]], None]) -> Iterator[str]:
    """URL of a page that tells boards of the town, with something changed."""
    document = place.onboarding
    change(document)
    page = Bent(document)
    try:
        yield page.url
    finally:
        page.close()


class Bench:
    """Boards, new ones and copies of one in any state."""

    def __init__(self, folder: Path) -> None:
        for module in ("micropython_run", "serial", "esptool"):
            if importlib.util.find_spec(module) is None:
                pytest.skip(f"component missing: no {module} (pip install '.[device]')")
        self.folder = folder
        self._number = 0
        self.image = folder / "ESP32_GENERIC.bin"
        self.image.write_bytes(official_image("esp32"))

    @contextmanager
    def board(self, flash: bytes | None = None, **options: Any) -> Iterator[VirtualBoard]:
        """A board with this in its flash, None for a new one."""
        self._number += 1
        folder = self.folder / f"board{self._number}"
        folder.mkdir()
        if flash is not None:
            (folder / "flash.bin").write_bytes(flash)
        options.setdefault("wifi", {WIFI: PASSWORD})
        options.setdefault("sensors", (BME280,))
        with VirtualBoard(folder, **options) as board:
            yield board


def set_up(board: VirtualBoard, url: str, folder: Path, *more: object) -> Said:
    """Provision by the real command, for a gateway or for a page that tells something wrong."""
    return cairn(
        *("board", "provision", "--port", board.url, "--gateway", url, "--places", folder),
        *(*STATION, *more, "--json"),
        folder=folder,
        given=PASSWORD + "\n",
    )


def examined(board: VirtualBoard, place: Town, *more: object) -> Said:
    """`cairn board doctor`, which does not wait long."""
    return cairn(
        *("board", "doctor", "--port", board.url, "--gateway", place.url),
        *("--wait", 40, *more, "--json"),
        folder=place.folder,
    )


def typed(board: VirtualBoard, program: str) -> str:
    """Run a program at the board's prompt, to break something by hand; it restarts behind it."""
    with opened(board.pty) as connection:
        repl = Repl(connection)
        repl.enter()
        try:
            return repl.run(program, 30)
        finally:
            repl.leave(restart=True)
