"""`cairn gateway doctor` finds exactly what is wrong with a machine: clock, disk, key files."""

import json
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from gateway.cli.gateway_child import GatewayChild
from gateway.core.genesis import DAY_MS
from gateway.shell.network import DATABASE, NetworkKeys
from tests.service.doctor_rig import (
    doctor,
    failed,
    gateway_up,
    heard_network,
    make,
    now_ms,
    skipped,
    store_messages,
)
from tests.service.signing_station import SigningStation

NTP_EPOCH_S = 2_208_988_800


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NetworkKeys:
    return heard_network(tmp_path, monkeypatch)


@pytest.fixture
def up(keys: NetworkKeys) -> Iterator[GatewayChild]:
    with gateway_up(keys) as child:
        yield child


# ---- clock off


@contextmanager
def time_server(offset_s: float) -> Iterator[str]:
    """An NTP server (RFC 5905) whose clock differs from ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                request, client = listener.recvfrom(512)
                if request == b"end":
                    return
                stamp = int((time.time() + offset_s + NTP_EPOCH_S) * 2**32)
                head = struct.pack("!BBbb3I", 0x24, 1, 4, -20, 0, 0, 0x4C4F434C)
                stamps = struct.pack(
                    "!QQQQ", stamp, *struct.unpack("!Q", request[40:48]), *[stamp] * 2
                )
                listener.sendto(head + stamps, client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = listener.getsockname()
        yield f"{host}:{port}"
        listener.sendto(b"end", (host, port))
        thread.join()


@pytest.mark.parametrize("offset_s, word", [(-30, "ahead"), (30, "behind")])
def test_a_clock_that_a_time_server_calls_wrong(keys: NetworkKeys, offset_s: float, word: str):
    with time_server(offset_s) as address:
        checks = doctor(keys, time_server=address)
    assert failed(checks) == ["clock"]
    assert word in checks["clock"]["what"]
    assert "stations" in skipped(checks)


def test_a_clock_that_is_right(keys: NetworkKeys):
    with time_server(0) as address:
        checks = doctor(keys, time_server=address)
    assert failed(checks) == []
    assert checks["clock"]["status"] == "PASSED"


@pytest.mark.slow
def test_a_time_server_that_does_not_answer_is_no_wrong_clock(keys: NetworkKeys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        checks = doctor(keys, time_server=f"127.0.0.1:{silent.getsockname()[1]}")
    assert failed(checks) == []
    assert "clock" in skipped(checks)
    assert checks["stations"]["status"] == "PASSED"


def test_a_clock_behind_what_is_stored(keys: NetworkKeys):
    station = SigningStation(2, keys.network_id)
    later = now_ms() + 3_600_000
    store_messages(keys, [(later, station.hello(later))])
    assert failed(doctor(keys)) == ["clock"]


@pytest.mark.parametrize("days", [-800, 30])
def test_a_clock_at_which_no_key_is_in_force(tmp_path: Path, monkeypatch, days: int):
    monkeypatch.chdir(tmp_path)
    checks = doctor(make(tmp_path / "data", now_ms() + days * DAY_MS))
    assert failed(checks) == ["clock"]
    assert "in force" in checks["clock"]["what"]


# ---- disk full


def test_too_little_room_by_the_setting(keys: NetworkKeys, up: GatewayChild):
    checks = doctor(keys, disk_free_bytes_min=1 << 50)
    assert failed(checks) == ["disk"]
    assert skipped(checks) == ["database", "stations"]


def test_a_disk_on_which_nothing_can_be_written(keys: NetworkKeys):
    """What a full disk does, for one process: no file may grow beyond 4 KiB."""
    arguments = ["-m", "gateway.cli", "gateway", "doctor", "--json", "--data", str(keys.folder)]
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, 4_096)),
    )
    checks = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert failed(checks) == ["disk"]
    assert not list(keys.folder.glob(".doctor*"))


def test_a_full_disk(keys: NetworkKeys, tmp_path: Path):
    """A file system of 1 MiB, filled to the last byte, where this user may mount one."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(small)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        # The limit on file sizes above shows the same to users who may not mount.
        return
    try:
        full = make(small / "data", now_ms())
        store_messages(full, [(now_ms(), SigningStation(1, full.network_id).hello(now_ms()))])
        fill(small / "filler")
        checks = doctor(full, disk_free_bytes_min=0)
        assert failed(checks) == ["disk"]
        (small / "filler").unlink()
        assert failed(doctor(full, disk_free_bytes_min=0)) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def test_a_damaged_database_is_one_finding(keys: NetworkKeys):
    path = keys.folder / DATABASE
    path.write_bytes(b"not a database" * 1_000)
    checks = doctor(keys)
    assert failed(checks) == ["database"]
    assert "stations" in skipped(checks)


# ---- bad key


def gateway_key_missing(folder: Path) -> None:
    (folder / "gateway.key").unlink()


def gateway_key_readable(folder: Path) -> None:
    (folder / "gateway.key").chmod(0o644)


def gateway_key_damaged(folder: Path) -> None:
    (folder / "gateway.key").write_text("not 64 hex digits\n")


def gateway_key_of_another(folder: Path) -> None:
    (folder / "gateway.key").write_text(bytes(SigningKey.generate()).hex())


def operator_key_of_another(folder: Path) -> None:
    (folder / "operator.key").write_text(bytes(SigningKey.generate()).hex())


def operator_key_missing(folder: Path) -> None:
    (folder / "operator.key").unlink()


def api_key_readable(folder: Path) -> None:
    (folder / "api.key").write_text("00" * 32)
    (folder / "api.key").chmod(0o644)


@pytest.mark.parametrize(
    "harm",
    [
        gateway_key_missing,
        gateway_key_readable,
        gateway_key_damaged,
        gateway_key_of_another,
        operator_key_of_another,
        operator_key_missing,
        api_key_readable,
    ],
)
def test_bad_keys(keys: NetworkKeys, harm: Callable[[Path], None]):
    harm(keys.folder / "keys")
    checks = doctor(keys)
    assert failed(checks) == ["keys"]
    assert skipped(checks) == ["gateway", "mqtt", "entropy"]


def test_a_key_that_went_bad_under_a_running_gateway(keys: NetworkKeys, up: GatewayChild):
    gateway_key_readable(keys.folder / "keys")
    checks = doctor(keys)
    assert failed(checks) == ["keys"]
    assert skipped(checks) == []
