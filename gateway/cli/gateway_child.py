"""A gateway in a process of its own, started, killed and started again by the demo and the tests.

It knows the command line of `cairn gateway run` and the line that says that all is listening;
nothing of what a gateway does.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gateway.shell.errors import Code, OperatorFault

STOP_SECONDS_MAX = 60
LOG = "gateway.log"
_LOG_LINES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the gateway listens: URLs, as it printed them."""

    mqtt: str
    http: str


class GatewayChild:
    """One data directory's gateway. The ports of its first start are kept over every restart."""

    def __init__(self, folder: Path, *options: str) -> None:
        """options: of `cairn gateway run`, e.g. `--clock driven`."""
        self._folder = folder.resolve()
        self._options = options
        self._ports = ("0", "0")
        self._process: subprocess.Popen[str] | None = None
        self.addresses = Addresses("", "")
        self.starts = 0

    def start(self) -> Addresses:
        """Start it and wait until it listens. OperatorFault if it ends before that."""
        command = [sys.executable, "-m", "gateway.cli", "gateway", "run"]
        command += ["--data", str(self._folder), "--json", "--until-stdin-closes", *self._options]
        command += ["--mqtt-port", self._ports[0], "--http-port", self._ports[1]]
        with (self._folder / LOG).open("ab") as log:
            # A session of its own: Ctrl-C is for whoever started it, who then stops it in order.
            # Nothing is ever written to its stdin: the system closes it when we die, however.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                command,
                cwd=self._folder,
                env=_clean(os.environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.starts += 1
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failed()
        said = json.loads(line)
        self.addresses = Addresses(said["mqtt"], said["http"])
        self._ports = (_port(said["mqtt"]), _port(said["http"]))
        return self.addresses

    def kill(self) -> None:
        """End it as a power cut would: no signal that it could answer."""
        self._running().kill()
        self.wait()

    def wait(self) -> int:
        """Wait until it has ended, and return its exit code."""
        process = self._running()
        code = process.wait(STOP_SECONDS_MAX)
        _close_pipes(process)
        return code

    def stop(self) -> int:
        """Ask it to stop, wait for it, and return its exit code; kills it if it does not end."""
        if self._process is None:
            return 0
        process = self._process
        if process.poll() is None:
            process.terminate()
        try:
            return process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            _close_pipes(process)

    @property
    def pid(self) -> int:
        return self._running().pid

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None:
            raise RuntimeError("the gateway was never started")
        return self._process

    def _failed(self) -> OperatorFault:
        code = self.wait()
        lines = (self._folder / LOG).read_text("utf-8", "replace").splitlines()
        said = " / ".join(line.strip() for line in lines[-_LOG_LINES_SHOWN:])
        return OperatorFault(
            "The gateway did not start.",
            f"It ended with exit code {code}: {said or 'it said nothing'}.",
            f"Mend that and try again; {self._folder / LOG} holds all that it said.",
            Code.GATEWAY_ENDED,
        )


def _close_pipes(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()


def _clean(environment: "os._Environ[str]") -> dict[str, str]:
    """The environment without our settings: what is run here is told everything by flags."""
    return {name: value for name, value in environment.items() if not name.startswith("CAIRN_")}


def _port(url: str) -> str:
    return url.rsplit(":", 1)[1]
