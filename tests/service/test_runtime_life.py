"""`cairn gateway run` from start to end: what keeps it from starting, its health, its signals."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.cli.gateway_child import GatewayChild
from gateway.core.genesis import DAY_MS
from gateway.shell.lock import ADDRESSES, is_held, running
from gateway.shell.network import NetworkKeys, create_network
from tests.service.children import free_port
from tests.service.runtime_rig import (
    SECONDS_MAX,
    Site,
    endpoint_up,
    log_lines,
    now_ms,
    real_network,
    run,
)


@pytest.fixture
def keys(tmp_path: Path) -> NetworkKeys:
    return real_network(tmp_path / "data")


@pytest.fixture
def endpoint(keys: NetworkKeys) -> Iterator[Site]:
    with endpoint_up(keys) as site:
        yield site


# ---- what keeps it from starting


def test_a_second_gateway_on_one_directory_is_refused(endpoint: Site):
    ports = ("--mqtt-port", "0", "--http-port", "0")
    done = run("--data", str(endpoint.keys.folder), *ports)
    assert done.returncode == 3
    assert "gateway_running" in done.stderr
    assert str(endpoint.gateway.pid) in done.stderr
    assert done.stdout == ""
    assert running(endpoint.keys.folder) is not None


@pytest.mark.parametrize("port", ["mqtt", "http"])
def test_a_port_in_use(keys: NetworkKeys, port: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        ports = {"mqtt": "0", "http": "0"} | {port: number}
        options = [x for name, value in ports.items() for x in (f"--{name}-port", value)]
        done = run("--data", str(keys.folder), *options)
    assert done.returncode == 3
    assert "listen_failed" in done.stderr
    assert number in done.stderr
    assert "Traceback" not in done.stderr
    assert not (keys.folder / ADDRESSES).exists()


@pytest.mark.parametrize(
    "arguments, code, word, exit_code",
    [
        (["--clock", "driven"], "clock_not_drivable", "cairn network init --simulated", 2),
        (["--broker-url", "mqtt://u:secret@h"], "config_invalid", "broker_password_file", 2),
        (["--mqtt-tls-cert", "none"], "config_invalid", "mqtt_tls_key", 2),
        (["--mqtt-tls-cert", "none", "--mqtt-tls-key", "none"], "tls_unusable", "PEM", 3),
        (
            ["--broker-url", "mqtt://h", "--broker-password-file", "none"],
            "keys_missing",
            "password",
            3,
        ),
    ],
)
def test_settings_that_cannot_work(keys: NetworkKeys, arguments, code, word, exit_code):
    done = run("--data", str(keys.folder), "--mqtt-port", "0", "--http-port", "0", *arguments)
    assert done.returncode == exit_code, done.stderr
    assert code in done.stderr
    assert word in done.stderr
    assert "secret@" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not is_held(keys.folder)


def test_without_a_network_it_says_how_to_make_one(tmp_path: Path):
    done = run("--data", str(tmp_path / "none"))
    assert done.returncode == 3
    assert "network_missing" in done.stderr
    assert "cairn network init" in done.stderr


# ---- health


def checks(child: GatewayChild, path: str) -> tuple[int, list[str]]:
    """Status of a health page, and the checks that do not hold."""
    answer = httpx.get(child.addresses.http + path, trust_env=False)
    said = answer.json()["checks"]
    assert [one["name"] for one in said] == [
        *("worker", "ingest", "store", "source", "clock", "queue", "entropy"),
    ]
    assert all(one["detail"] for one in said)
    assert all(bool(one["do"]) is not one["ok"] for one in said)
    return answer.status_code, [one["name"] for one in said if not one["ok"]]


@pytest.mark.parametrize(
    "settings, wrong",
    [
        ("", []),
        ("disk_free_bytes_min = 1125899906842624", ["store"]),
        ('broker_url = "mqtt://127.0.0.1:{closed}"', ["source"]),
        ('clock = "driven"', ["clock"]),
    ],
)
def test_health_tells_the_truth(tmp_path: Path, settings: str, wrong: list[str]):
    today_ms = now_ms() // DAY_MS * DAY_MS
    keys = create_network(tmp_path / "data", "t", simulated=True, epoch_zero_ms=today_ms)
    # The gateway's working directory is its data directory.
    text = settings.format(closed=free_port()) + "\n"
    (keys.folder / "cairn.toml").write_text(text)
    child = GatewayChild(keys.folder)
    child.start()
    try:
        assert checks(child, "/health") == (200, wrong)
        assert checks(child, "/ready") == (503 if wrong else 200, wrong)
    finally:
        assert child.stop() == 0


# ---- the end of it


def test_a_person_reads_one_line(keys: NetworkKeys):
    command = [sys.executable, "-m", "gateway.cli", "gateway", "run", "--data", str(keys.folder)]
    command += ["--mqtt-port", "0", "--http-port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line.startswith("gateway up: boards at mqtt://127.0.0.1:")
        child.send_signal(signal.SIGINT)
        assert child.stdout.read() == ""
        assert child.wait(SECONDS_MAX) == 0


STUBBORN = """
import asyncio
from gateway.shell.runtime import stop_signals

async def main():
    with stop_signals() as stop:
        print("up", flush=True)
        await stop.wait()
        print("asked", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


def test_a_second_signal_ends_it_at_once():
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for word, number in (("up", signal.SIGTERM), ("asked", signal.SIGINT)):
            assert child.stdout.readline() == f"{word}\n"
            os.kill(child.pid, number)
        assert child.wait(SECONDS_MAX) == 128 + signal.SIGINT
        with contextlib.suppress(ProcessLookupError):
            child.kill()


ABANDONING = """
import sys
from pathlib import Path
from gateway.cli.gateway_child import GatewayChild

child = GatewayChild(Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_gateway_ends_in_order_when_the_program_that_runs_it_is_killed(keys: NetworkKeys):
    command = [sys.executable, "-c", ABANDONING, str(keys.folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        gateway = os.pidfd_open(int(parent.stdout.readline()))
        assert running(keys.folder) is not None
        parent.kill()
    try:
        # Readable once it has ended, though nobody is left who waits for it.
        ended, _, _ = select.select([gateway], [], [], SECONDS_MAX)
        assert ended
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(gateway, signal.SIGKILL)
        os.close(gateway)
    assert not is_held(keys.folder)
    assert not (keys.folder / ADDRESSES).exists()
    assert [line["event"] for line in log_lines(keys)] == ["started", "stopping", "stopped"]


@pytest.mark.parametrize("stdin", ["nothing", "file"])
def test_a_stdin_that_cannot_be_waited_for_has_ended(
    keys: NetworkKeys, tmp_path: Path, stdin: str
):
    path = Path(os.devnull) if stdin == "nothing" else tmp_path / "file"
    path.touch()
    ports = ("--mqtt-port", "0", "--http-port", "0")
    with path.open() as file:
        done = run("--data", str(keys.folder), *ports, "--until-stdin-closes", stdin=file)
    assert done.returncode == 0, done.stderr
    assert "stopped" in done.stderr
