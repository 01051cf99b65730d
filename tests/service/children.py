"""Other people's programs as children: Mosquitto, configured by our own command."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

from click.testing import CliRunner

from gateway.cli import main

START_SECONDS_MAX = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class MosquittoChild:
    """Debian's Mosquitto with what `cairn broker init mosquitto` writes for a network. tls:
    certificate and key of the name localhost, and the authority that vouches for it.
    """

    def __init__(
        self,
        data_dir: Path,
        folder: Path,
        devices: list[str],
        tls: tuple[Path, Path, Path] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        names: list[str] = []
        if tls is not None:
            self.url = f"mqtts://localhost:{self.port}"
            certificate, key, authority = map(str, tls)
            names = ["--tls-cert", certificate, "--tls-key", key, "--ca", authority]
        self._program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "mosquitto.conf"
        self.log = folder / "mosquitto.log"
        written = CliRunner().invoke(
            main,
            [
                *("broker", "init", "mosquitto", "--data", str(data_dir), "--out", str(folder)),
                *("--listen", f"127.0.0.1:{self.port}", "--devices", "-", "--json"),
                *names,
            ],
            input="".join(f"{device}\n" for device in devices),
        )
        assert written.exit_code == 0, written.output
        settings = json.loads(written.stdout)["settings"]
        self.gateway_options = (
            *("--broker-url", settings["broker_url"]),
            *("--broker-password-file", settings["broker_password_file"]),
        )

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", self._config], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self._process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                continue
            return

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)
