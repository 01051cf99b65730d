"""What the doctor's tests share: a network to examine, and what is said of it."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.gateway_child import GatewayChild
from gateway.core.admission import Arrival
from gateway.core.genesis import DAY_MS
from gateway.shell.network import DATABASE, NetworkKeys, create_network
from gateway.shell.service import Gateway
from gateway.shell.store.sqlite import SqliteStore
from tests.service.signing_station import SigningStation

ALL = ["network", "keys", "disk", "database", "clock", "gateway", "mqtt", "entropy", "stations"]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def make(folder: Path, begin_ms: int, *, simulated: bool = False) -> NetworkKeys:
    return create_network(
        folder, "test", simulated=simulated, epoch_zero_ms=begin_ms // DAY_MS * DAY_MS
    )


def store_messages(keys: NetworkKeys, messages: list[tuple[int, bytes]]) -> None:
    gateway = Gateway.open(SqliteStore.create(keys.folder / DATABASE, keys.network_id), keys)
    for time_ms, data in messages:
        gateway.deliver([Arrival(None, data)], time_ms)
    gateway.close()


def heard_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NetworkKeys:
    """A real network with one station that has just been heard, and no gateway."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("CAIRN_"):
            monkeypatch.delenv(name)
    keys = make(tmp_path / "data", now_ms())
    station = SigningStation(1, keys.network_id)
    store_messages(keys, [(now_ms(), station.hello(now_ms()))])
    return keys


@contextmanager
def gateway_up(keys: NetworkKeys) -> Iterator[GatewayChild]:
    child = GatewayChild(keys.folder)
    child.start()
    try:
        yield child
    finally:
        child.stop()


def doctor(keys: NetworkKeys, **settings: object) -> dict[str, dict[str, str]]:
    """What the doctor says, by check; its exit code must agree."""
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    Path("doctor.toml").write_text(text)
    arguments = ["--config", "doctor.toml", "gateway", "doctor", "--data", str(keys.folder)]
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code in {0, 1}, result.output
    said = json.loads(result.stdout)
    checks = {one["name"]: one for one in said["checks"]}
    assert list(checks) == ALL
    assert said["ok"] == (not failed(checks)) == (result.exit_code == 0)
    people = CliRunner().invoke(main, arguments)
    assert people.exit_code == result.exit_code
    for one in checks.values():
        assert f"{one['status']} {one['name']}: " in " ".join(people.stdout.split())
        if one["status"] == "FAILED":
            assert one["what"]
            assert one["why"]
            assert one["do"] in people.stdout
    return checks


def failed(checks: dict[str, dict[str, str]]) -> list[str]:
    return [name for name, one in checks.items() if one["status"] == "FAILED"]


def skipped(checks: dict[str, dict[str, str]]) -> list[str]:
    return [name for name, one in checks.items() if one["status"] == "SKIPPED"]
