"""The second program of an image on a real MicroPython: what it tells, keeps and finds out."""

import json
import socket
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cairn import cbor, config, lives, sealed, segment, wire
from cairn.boards.host import MemoryFiles
from cairn.identity import device_id, device_name

from gateway.core.login import Login, open_login
from gateway.device.image import build_image, unpack
from tests.device.runner_rig import TimeServer
from tests.device.test_chip import HERE, ROOT, echo, echo_over_tls, serving, unix_micropython
from tests.unit.firmware.bench import Gateway, make_config
from tests.unit.firmware.certificates import make_authority

pytestmark = pytest.mark.slow

__all__ = ["unix_micropython"]

CHIP = ROOT / "simulator" / "virtual" / "chip"
WIFI = ['wifi("home", "secret-secret")']
Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image") / "a"
    for name, content in unpack(build_image(architecture="bytecode").data).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The second program alone: it may need nothing of the first.
        if name.startswith(("con_", "console")):
            path.write_bytes(content)
    return folder


@pytest.fixture
def ask(unix_micropython: str, image: Path, tmp_path: Path) -> Ask:
    """Answers to calls, made in one boot after another on a blank board."""

    def asked(*calls: str, wait_s: int = 60) -> list[dict[str, Any]]:
        (tmp_path / "calls").write_text("\n".join(calls))
        done = subprocess.run(
            [unix_micropython, HERE / "console_exercise.py", image, tmp_path / "calls"],
            env={"MICROPYPATH": f"{CHIP}:{HERE}:.frozen"},
            capture_output=True,
            text=True,
            timeout=wait_s,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        assert all(line.startswith("cairn> ") for line in lines), done.stdout
        return [json.loads(line.removeprefix("cairn> ")) for line in lines]

    return asked


def given(settings: config.Config, size: int = 200) -> list[str]:
    data = settings.encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return ["begin()", *[f"put({piece!r})" for piece in pieces], "provision()"]


def settings(**changes: Any) -> config.Config:
    values = {"broker_host": "localhost", "sensors": ((10, 0, 4),), "owner": bytes(20)}
    return make_config(**(values | changes))


def test_a_new_board_makes_its_key_and_says_who_it_is(ask: Ask) -> None:
    first, again = ask("whoami()", "whoami()")
    key = bytes.fromhex(first["public_key"])
    assert first["device"] == device_name(device_id(key))
    assert first["ok"]
    assert not first["provisioned"]
    assert not first["wifi"]
    assert first["config"] is None
    assert first["config_code"] == "config.absent"
    assert (first["chip"], first["architecture"]) == ("esp32c3", "bytecode")
    assert first["firmware"] == "cairn 0.1.0"
    assert first["counter"] == 0
    assert first["free_heap"] > 0
    assert first["free_flash"] > 0
    assert first["outbox"] == 0
    assert again["public_key"] == first["public_key"]


def test_what_waits_is_counted_and_a_looker_on_is_no_crash(ask: Ask) -> None:
    records = b"".join(segment.encode(wire.READINGS, 0, seq, b"m" * 90) for seq in range(1, 6))
    files = MemoryFiles()
    lives.store(files, 3, 1, 2)
    sealed.write(files, "receipt", cbor.encode([2, bytes(16)]))
    stored = {name: files.read(name) or b"" for name in files.names("")}
    stored["outbox/00000001"] = records
    fresh, told = ask(
        "whoami()",
        *[f"file {name} {data.hex()}" for name, data in stored.items()],
        "again",
        "whoami()",
    )
    assert (fresh["outbox"], fresh["crashes"]) == (0, 0)
    assert (told["outbox"], told["crashes"]) == (3, 2)


def test_a_configuration_in_pieces_is_kept_and_told(ask: Ask) -> None:
    made = settings(broker_ca=b"c" * 900)
    *_, stored, told = ask(*given(made), "whoami()")
    assert stored["ok"]
    assert not stored["moved"]
    assert told["provisioned"]
    assert told["config"] == stored["config"]
    assert told["config"] == {
        "sha256": sha256(made.encode()).hexdigest(),
        "network": made.network_id.hex(),
        "simulated": False,
        "cell": f"{made.scoring_cell:x}",
        "owner": "00" * 20,
        "broker": {"host": "localhost", "port": 1883, "tls": True},
        "time": {"host": "gateway.test", "port": 80},
        "sensors": [[10, 0, 4]],
        "sample_interval_ms": 300_000,
        "samples_per_message": 2,
    }


def test_what_is_refused_changes_nothing(ask: Ask) -> None:
    bad = settings().encode().replace(b"localhost", b"\xff" * 9)
    answers = ask(
        "provision()", *given(settings()), "begin()", f"put({bad!r})", "provision()",
        "begin()", "put(bytes(3_000))", "put(bytes(1_000))", "whoami()",
    )  # fmt: skip
    assert answers[0]["code"] == "config.damaged"
    assert answers[-5]["code"] == "config.damaged", "a text that is no UTF-8"
    assert answers[-2]["code"] == "config.size"
    assert answers[-1]["config"]["sha256"] == sha256(settings().encode()).hexdigest()


def test_a_setting_that_breaks_a_rule_is_named(ask: Ask) -> None:
    fields = cbor.decode(settings().encode())
    fields[5] = 5
    *_, told = ask("begin()", f"put({cbor.encode(fields)!r})", "provision()")
    assert told["code"] == "config.status_interval_ms"
    assert told["detail"] == "5 is outside 60000..86400000"


def test_another_network_is_another_chain(ask: Ask) -> None:
    other = settings(genesis=settings().genesis.replace(b"bench", b"other"))
    calls = [*given(settings()), *given(settings()), *given(other)]
    stored = [answer for answer in ask(*calls) if "moved" in answer]
    assert [answer["moved"] for answer in stored] == [False, False, True]


def test_wifi_is_kept_and_tried(ask: Ask) -> None:
    answers = ask(
        "join(3_000)", 'wifi("home", "wrong-wrong")', "join(3_000)", 'wifi("away", "")',
        "join(3_000)", *WIFI, "join(3_000)", "whoami()", 'wifi("home", "short")',
        'wifi("", "secret-secret")', 'check("wifi")', 'forget("wifi")', 'check("wifi")',
    )  # fmt: skip
    codes = [answer.get("code", "ok") for answer in answers]
    assert codes == [
        "wifi.absent", "ok", "wifi.password", "ok", "wifi.unknown", "ok", "ok", "ok",
        "wifi.password", "wifi.absent", "ok", "ok", "wifi.absent",
    ]  # fmt: skip
    assert answers[2]["status"] == 202
    assert answers[4]["status"] == 201
    joined = {"ok": True, "ssid": "home", "rssi_dbm": -61, "address": "127.0.0.1"}
    assert answers[6] == joined == answers[10]
    assert answers[7]["wifi"]


def test_a_check_says_why_wifi_is_not_there(ask: Ask) -> None:
    answers = ask(
        *given(settings()), 'check("dns")', 'wifi("home", "wrong-wrong")', 'check("tls")',
        "air {}", 'check("clock")', wait_s=120,
    )  # fmt: skip
    assert answers[-4]["code"] == "wifi.absent"
    assert answers[-2]["code"] == "wifi.password"
    assert answers[-1]["code"] == "wifi.unknown"


def test_sensors_tell_values_and_which_one_has_none(ask: Ask) -> None:
    # A DHT22 that answers, and a BME280 on a bus that this chip does not have.
    wired = settings(sensors=((10, 0, 4), (1, 1, 5, 118)))
    *_, fine = ask(*given(settings()), 'check("sensors")')
    assert fine["sensors"] == [[0, 0, -2, 2340, 0], [1, 0, -1, 552, 0]]
    *_, broken = ask(*given(wired), 'check("sensors")')
    assert broken["code"] == "sensors.fault"
    assert broken["detail"] == "sensor [1, 1, 5, 118]: fault 9"
    assert broken["sensors"][:2] == fine["sensors"]
    assert [row[3:] for row in broken["sensors"][2:]] == [[None, 9]] * 3
    *_, none = ask(*given(settings(sensors=())), 'check("sensors")')
    assert none["code"] == "sensors.none"
    *_, refused = ask(*given(settings(sensors=((99, 0, 4),))), 'check("sensors")')
    assert refused["code"] == "config.sensors"


def test_a_signed_login_is_one_that_the_gateway_takes(ask: Ask) -> None:
    answers = ask("whoami()", *given(settings()), *['check("signature")'] * 2)
    counters = []
    for answer in answers[-2:]:
        password = urlsafe_b64encode(bytes.fromhex(answer["login"])).decode().rstrip("=")
        name = answers[0]["device"]
        login = open_login(password, name, name, settings().network_id)
        assert isinstance(login, Login), login
        counters.append(login.counter)
    assert counters[0] == 1
    assert counters[1] > 1, "no counter is used twice"


def test_the_way_to_a_broker_without_tls(ask: Ask) -> None:
    with serving(echo) as port, socket.create_server(("127.0.0.1", 0)) as closed:
        away = closed.getsockname()[1]
        closed.close()
        there = given(settings(broker_port=port))
        silent = given(settings(broker_port=away))
        nowhere = given(settings(broker_host="no-such-host.invalid"))
        checks = ['check("dns")', 'check("broker")', 'check("tls")']
        answers = ask(*WIFI, *there, *checks, *silent, *checks, *nowhere, *checks)
    checked = [one for one in answers if "host" in one or str(one.get("code"))[:5] == "link."]
    codes = [answer.get("code", "ok") for answer in checked]
    assert codes == ["ok", "ok", "ok", "ok", "link.unreachable", "ok", *["link.dns"] * 3]
    assert checked[0] == {"ok": True, "host": "localhost", "port": port, "address": "127.0.0.1"}
    assert checked[2]["tls"] is False
    *_, absent = ask(*WIFI, *given(settings(broker_host=None)), 'check("broker")')
    assert absent["code"] == "link.absent"


def test_what_is_wrong_with_a_certificate_is_told_apart(
    ask: Ask, require_component, tmp_path: Path
) -> None:
    openssl = require_component("openssl")
    authority = make_authority(openssl, tmp_path / "ca")
    foreign = make_authority(openssl, tmp_path / "other")
    now = int(time.time())
    servers = {
        "expired": authority.dated("localhost", now - 90_000, now - 3_600),
        "early": authority.dated("localhost", now + 3_600, now + 90_000),
        "ok": authority.issue("localhost"),
        "ca": foreign.issue("localhost"),
        "name": authority.issue("elsewhere.test"),
    }
    der = authority.der()
    calls, expected = list(WIFI), []
    with ExitStack() as stack:
        for reason, certificate in servers.items():
            port = stack.enter_context(serving(echo_over_tls(certificate)))
            calls += [*given(settings(broker_port=port, broker_ca=der)), 'check("tls")']
            expected.append(("ok", None) if reason == "ok" else ("link.tls", reason))
        port = stack.enter_context(serving(echo))
        calls += [*given(settings(broker_port=port, broker_ca=der)), 'check("tls")']
        expected.append(("link.tls", "other"))
        answers = ask(*calls, wait_s=120)
    found = [one for one in answers if "tls" in one or "reason" in one]
    assert [(one.get("code", "ok"), one.get("reason")) for one in found] == expected
    texts = {one.get("reason"): one["detail"] for one in found if "detail" in one}
    assert "correctly signed by the trusted CA" in texts["ca"]


def test_the_clock_is_the_gateways_and_a_false_gateway_is_named(ask: Ask) -> None:
    epoch_ms = time.time_ns() // 1_000_000
    gateway = Gateway(settings().network_id, epoch_ms=epoch_ms)
    false = Gateway(sha256(b"another").digest()[:8], epoch_ms=epoch_ms)
    servers = [
        TimeServer(lambda request, one=one: one.time_answer(request, 0))
        for one in (gateway, false)
    ]
    try:
        hosts = [settings(time_host="localhost", time_port=one.port) for one in servers]
        calls = [call for one in hosts for call in (*given(one), 'check("clock")')]
        fine, wrong = [one for one in ask(*WIFI, *calls) if "host" in one]
    finally:
        for server in servers:
            server.stop()
    assert fine["ok"]
    assert abs(fine["time_ms"] - epoch_ms) < 60_000
    assert 0 <= fine["uncertainty_ms"] < 5_000
    assert wrong["code"].startswith("time.")
    *_, absent = ask(*WIFI, *given(settings(time_host=None)), 'check("clock")')
    assert absent["code"] == "time.absent"


def test_forgetting_asks_twice_before_it_takes_the_key(ask: Ask) -> None:
    answers = ask(
        *WIFI, *given(settings()), "whoami()", 'forget("config")', "whoami()", 'forget("all")',
        "whoami()", 'forget("all", True)', "whoami()", 'forget("everything")',
    )  # fmt: skip
    first, after, kept, new = [answer for answer in answers if "device" in answer]
    assert first["provisioned"]
    assert first["wifi"]
    assert not after["provisioned"]
    assert after["wifi"]
    assert kept == after | {"free_heap": kept["free_heap"], "free_flash": kept["free_flash"]}
    assert new["device"] != first["device"]
    assert not new["wifi"]
    assert [one["code"] for one in answers if not one["ok"]] == ["console.refused"] * 2


def test_a_damaged_key_is_told_by_its_code(ask: Ask) -> None:
    for call in ("whoami()", *WIFI, 'check("wifi")'):
        (told,) = ask(f"nvs identity {bytes(64).hex()}", call)
        assert told["code"] == "identity.damaged"


def test_a_name_that_is_no_check_is_refused(ask: Ask) -> None:
    *_, told = ask(*given(settings()), 'check("weather")')
    assert told == {"ok": False, "code": "console.refused", "detail": "there is no check weather"}
