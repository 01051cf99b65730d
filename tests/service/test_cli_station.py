"""`cairn station` and the operator's verbs, beside a running gateway and without one."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from nacl.signing import SigningKey

from gateway.cli import main
from gateway.cli.gateway_child import GatewayChild
from gateway.core.admission import Arrival
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_id, device_name
from gateway.core.login import Login, open_login
from gateway.core.operator import OperatorKind
from gateway.core.registry import Policy
from gateway.shell.lock import held
from gateway.shell.network import DATABASE, NetworkKeys, create_network
from gateway.shell.service import Gateway
from gateway.shell.store.sqlite import SqliteStore
from tests.service.gateway_rig import OWNER
from tests.service.signing_station import SigningStation

EPOCH = 20_000
START = EPOCH * DAY_MS


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("CAIRN_"):
            monkeypatch.delenv(name)


def cairn(*arguments: str, exit_code: int = 0):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == exit_code, result.output
    return result


def answer(*arguments: str) -> dict:
    return json.loads(cairn(*arguments, "--json").stdout)


def open_gateway(keys: NetworkKeys, policy: Policy = Policy.OPEN) -> Gateway:
    return Gateway.open(SqliteStore.create(keys.folder / DATABASE, keys.network_id), keys, policy)


def send(gateway: Gateway, now_ms: int, *messages: bytes, device: bytes | None = None) -> None:
    gateway.deliver([Arrival(device, data) for data in messages], now_ms)


def name(number: int) -> str:
    return device_name(SigningStation(number, b"").device)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Epoch 20000 is closed. Station 1 is anchored and well, 2 lost a message, 3 forked later,
    4 waits for approval.
    """
    folder = tmp_path_factory.mktemp("data")
    keys = create_network(folder, "test", simulated=True, epoch_zero_ms=START, seed=1)
    gateway = open_gateway(keys, Policy.APPROVED)
    stations = [SigningStation(number, keys.network_id) for number in (1, 2, 3, 4)]
    for station in stations[:3]:
        gateway.operate(OperatorKind.APPROVE, [station.device], START)
        send(gateway, START, station.hello(START), station.claim(START, OWNER))
    gateway.operate(OperatorKind.ANCHOR, [stations[0].device, 1], START)
    for time_ms in range(START, START + DAY_MS, 300_000):
        batch = [station.reading(time_ms, 1_000 + time_ms % 70) for station in stations[:3]]
        send(gateway, time_ms + 1_000, *batch)
    assert [one.epoch for one in gateway.advance(START + DAY_MS * 3 // 2)] == [EPOCH]
    later = START + DAY_MS * 3 // 2
    stations[1].reading(later, 1)
    send(gateway, later, stations[1].reading(later, 2))
    send(gateway, later, stations[2].reading(later, 1))
    stations[2].seq -= 1
    send(gateway, later + 1, stations[2].reading(later, 2))
    send(gateway, later + 2, stations[3].hello(later), device=stations[3].device)
    gateway.write_refusals()
    gateway.close()
    return folder


def test_list(two_days: Path):
    shown = answer("station", "list", "--data", str(two_days))
    assert shown["epoch"] == EPOCH
    assert [one["station"] for one in shown["waiting"]] == [name(4)]
    rows = {one["station"]: one for one in shown["stations"]}
    assert set(rows) == {name(1), name(2), name(3)}
    assert rows[name(1)]["class"] == "anchored"
    assert int(rows[name(1)]["paid"]) > 0
    assert rows[name(1)]["verdicts"] == {"ok": 290}
    assert rows[name(1)]["owner"] == f"0x{OWNER.hex()}"
    assert [rows[name(number)]["holes"] for number in (1, 2, 3)] == [0, 1, 0]
    assert rows[name(1)]["last_ms"] == START + DAY_MS - 300_000 + 1_000
    plain = cairn("station", "list", "--data", str(two_days)).stdout
    assert f"{name(4)} waits for approval" in plain
    assert all(station in plain for station in rows)


def test_show(two_days: Path):
    shown = answer("station", "show", name(3), "--data", str(two_days))
    assert shown["chain"]["forks"] == 1
    assert shown["last_kind"] == "readings"
    assert shown["reporting_interval_ms"] == 300_000
    lost = answer("station", "show", name(2), "--data", str(two_days))
    assert lost["chain"]["holes"] == [[291, 291]]
    plain = cairn("station", "show", name(2), "--data", str(two_days)).stdout
    assert "291-291" in plain
    assert "2024-10-05 12:00:00, readings" in plain


def test_stations_that_cannot_be_shown(two_days: Path):
    waiting = cairn("station", "show", name(4), "--data", str(two_days), exit_code=2)
    assert f"cairn station approve {name(4)}" in waiting.stderr
    unknown = cairn("station", "show", name(9), "--data", str(two_days), exit_code=2)
    assert "station_unknown" in unknown.stderr
    assert "base32" in cairn("station", "show", "short", exit_code=2).stderr


def test_approval_straight_into_the_store(two_days: Path, tmp_path: Path):
    folder = tmp_path / "d"
    shutil.copytree(two_days, folder)
    done = answer("station", "approve", name(4), "--data", str(folder))
    assert done == {"station": name(4), "done": "approved", "through": "store"}
    assert answer("station", "list", "--data", str(folder))["waiting"] == []
    anchored = answer("station", "anchor", name(2), "--data", str(folder))
    assert anchored["done"] == "anchored"
    assert answer("station", "show", name(2), "--data", str(folder))["anchored"]
    cairn("station", "anchor", name(2), "--remove", "--data", str(folder))
    assert not answer("station", "show", name(2), "--data", str(folder))["anchored"]


@pytest.fixture
def closed_shop(tmp_path: Path) -> Iterator[tuple[NetworkKeys, GatewayChild]]:
    """A running gateway that asks for approval."""
    today = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    keys = create_network(tmp_path / "data", "test", simulated=False, epoch_zero_ms=today)
    station = SigningStation(4, keys.network_id)
    gateway = open_gateway(keys, Policy.APPROVED)
    send(gateway, today, station.hello(today), device=station.device)
    gateway.write_refusals()
    gateway.close()
    Path("closed.toml").write_text('admission_policy = "approved"\n')
    child = GatewayChild(keys.folder)
    child.start()
    yield keys, child
    child.stop()


def test_approval_through_a_running_gateway(closed_shop: tuple[NetworkKeys, GatewayChild]):
    keys, child = closed_shop
    data = ("--data", str(keys.folder))
    assert [one["station"] for one in answer("station", "list", *data)["waiting"]] == [name(4)]
    done = answer("station", "approve", name(4), *data)
    assert done == {"station": name(4), "done": "approved", "through": "gateway"}
    assert answer("station", "list", *data)["waiting"] == []
    assert cairn("station", "anchor", name(4), *data).stdout == f"{name(4)}: anchored\n"
    (keys.folder / "keys" / "api.key").write_text("00" * 32)
    refused = cairn("station", "approve", name(4), *data, exit_code=1)
    assert refused.stderr.startswith("error: The gateway refused ")
    assert child.stop() == 0
    store = SqliteStore.open(keys.folder / DATABASE, keys.network_id)
    assert store.operator_head().length == 2
    store.close()


def test_epochs_are_not_closed_under_a_running_gateway(
    closed_shop: tuple[NetworkKeys, GatewayChild],
):
    keys, _ = closed_shop
    result = cairn("epoch", "close", "--data", str(keys.folder), exit_code=3)
    assert "gateway_running" in result.stderr
    cairn("epoch", "list", "--data", str(keys.folder))


def test_a_verb_waits_for_no_one_who_is_starting(two_days: Path, tmp_path: Path):
    folder = tmp_path / "d"
    shutil.copytree(two_days, folder)
    with held(folder):
        result = cairn("station", "approve", name(4), "--data", str(folder), exit_code=3)
    assert "gateway_running" in result.stderr


def test_a_gateway_that_does_not_answer(two_days: Path, tmp_path: Path):
    folder = tmp_path / "d"
    shutil.copytree(two_days, folder)
    key = folder / "keys" / "api.key"
    key.touch(0o600)
    key.write_text("00" * 32)
    with held(folder):
        text = (
            '{"pid": 1, "mqtt": "mqtt://127.0.0.1:1", "http": "http://127.0.0.1:1", "clock": ""}'
        )
        (folder / "gateway.json").write_text(text)
        result = cairn("station", "approve", name(4), "--data", str(folder), exit_code=3)
    assert "api_unreachable" in result.stderr


# ---- login-token


def test_a_login_token_opens_and_rises(two_days: Path, tmp_path: Path):
    key = SigningKey.generate()
    path = tmp_path / "host.key"
    path.touch(0o600)
    path.write_text(bytes(key).hex() + "\n")
    first, second = (
        answer("station", "login-token", str(path), "--data", str(two_days)) for _ in range(2)
    )
    user = device_name(device_id(bytes(key.verify_key)))
    assert first["user"] == first["client_id"] == user
    network_id = bytes.fromhex(first["topics"].split("/")[2])
    logins = [open_login(one["password"], user, user, network_id) for one in (first, second)]
    assert all(isinstance(one, Login) for one in logins)
    assert abs(logins[0].counter - time.time_ns() // 1_000_000) < 60_000
    assert logins[1].counter > logins[0].counter
    plain = cairn("station", "login-token", str(path), "--data", str(two_days)).stdout
    assert user in plain
    assert bytes(key).hex() not in plain


@pytest.mark.parametrize(
    "text, mode, code",
    [
        ("00" * 32, 0o644, "keys_readable"),
        ("00" * 31, 0o600, "keys_damaged"),
        ("x" * 64, 0o600, "keys_damaged"),
        (None, 0o600, "keys_missing"),
    ],
)
def test_key_files_that_cannot_be_used(two_days: Path, tmp_path: Path, text, mode, code):
    path = tmp_path / "host.key"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    arguments = ("station", "login-token", str(path), "--data", str(two_days))
    assert code in cairn(*arguments, exit_code=1 if text else 3).stderr


def test_a_directory_without_stations(tmp_path: Path):
    keys = create_network(tmp_path / "d", "test", simulated=True, epoch_zero_ms=START, seed=1)
    open_gateway(keys).close()
    assert cairn("station", "list", "--data", str(keys.folder)).stdout == (
        "no station has registered\n"
    )
