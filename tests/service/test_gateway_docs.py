"""docs/gateway.md: its shell lines are run as they stand, ports and the station's name apart."""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.service.children import free_port

BIN = Path(sys.executable).parent
STATION = "h5x2exbg4yonsgxg7ipvz7nuwm"
SECONDS_MAX = 30


def blocks(language: str) -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text(encoding="utf-8")
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def block(language: str, word: str) -> str:
    [found] = [one for one in blocks(language) if word in one]
    return found


def environment() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    return env | {"PATH": f"{BIN}{os.pathsep}/usr/sbin{os.pathsep}{env['PATH']}"}


def run(lines: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-ec", lines],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def running(line: str, folder: Path) -> Iterator[dict[str, str]]:
    """Run a `cairn gateway run` line; gives what it announces."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {line.strip()} --json --http-port 0"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        said = child.stdout.readline()
        assert said, child.stderr.read()
        try:
            yield json.loads(said)
        finally:
            child.terminate()
            child.communicate(timeout=SECONDS_MAX)
    assert child.returncode == 0


def wait_ready(api: str) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while (answer := httpx.get(f"{api}/ready", trust_env=False)).is_error:
        assert time.monotonic() < deadline, answer.text


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    run("cairn network init garden --data garden", tmp_path)
    return tmp_path


def test_the_first_five_minutes(garden: Path, require_component: Callable[[str], str]):
    require_component("curl")
    start = block("sh", "gateway run --data garden\n")
    with running(f"{start.strip()} --mqtt-port 0", garden) as told:
        lines = block("sh", "station approve").replace("STATION", STATION)
        run(
            lines.replace("http://127.0.0.1:8080", told["http"]).replace("curl", "curl -sf"),
            garden,
        )


def test_tls(garden: Path, require_component: Callable[[str], str]):
    require_component("openssl")
    run(block("sh", "openssl"), garden)
    settings = block("toml", "mqtt_tls_cert").replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    (garden / "cairn.toml").write_text(settings.replace("8883", "0"))
    with running("cairn gateway run", garden) as told:
        port = int(told["mqtt"].rsplit(":", 1)[1])
        trusting = ssl.create_default_context(cafile=garden / "ca.pem")
        with socket.create_connection(("127.0.0.1", port), SECONDS_MAX) as plain:
            trusting.wrap_socket(plain, server_hostname="gateway.example").close()
        with (
            socket.create_connection(("127.0.0.1", port), SECONDS_MAX) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            trusting.wrap_socket(plain, server_hostname="elsewhere.example")


def test_behind_mosquitto(garden: Path, require_component: Callable[[str], str]):
    require_component("mosquitto")
    port = free_port()
    run(f"cairn broker init mosquitto --data garden --listen 127.0.0.1:{port}", garden)
    broker, start = block("sh", "mosquitto -c").split("\n", 1)
    with subprocess.Popen(
        broker.split(), cwd=garden, env=environment(), stderr=subprocess.DEVNULL
    ) as child:
        try:
            with running(start.replace("1883", str(port)), garden) as told:
                wait_ready(told["http"])
        finally:
            child.terminate()
