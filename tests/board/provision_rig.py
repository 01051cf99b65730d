"""A board with our program on it, a network to join, and the command that brings them together."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.board.console import BoardFacts, session
from gateway.device.board_image import firmware_version, pack_board
from gateway.device.image import build_image
from gateway.shell.network import NetworkKeys, create_network
from simulator.virtual import VirtualBoard
from tests.board.onboarding_rig import Said, cairn

WIFI, PASSWORD = "home", "correct horse"
PLACE = "52.52000,13.40500"
JOINING = ("--wifi", WIFI, "--wifi-password-file", "-")
STATION = ("--place", PLACE, "--sensor", "bme280:sda=21,scl=22")


def program(offer: bytes | None = None) -> bytes:
    """A file system with what `cairn board flash --architecture bytecode` would write."""
    return pack_board(build_image(None, "bytecode"), version=firmware_version(), offer=offer)


@dataclass
class Desk:
    """Where somebody sits with boards. data: of a network whose gateway does not run."""

    folder: Path
    keys: NetworkKeys

    @property
    def data(self) -> Path:
        return self.keys.folder

    def provision(self, board: VirtualBoard, *options: object, given: str = PASSWORD) -> Said:
        return self.cairn("provision", "--port", board.url, *options, given=given)

    def cairn(self, verb: str, *options: object, given: str = "") -> Said:
        network = () if "--gateway" in options else ("--data", self.data)
        line = ("board", verb, *options, *network, "--json")
        return cairn(*line, folder=self.folder, given=given and given + "\n")

    def place_files(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in self.folder.glob("cairn-place-*.json")]


def make_desk(folder: Path) -> Desk:
    folder.mkdir()
    keys = create_network(folder / "data", "test", simulated=False, epoch_zero_ms=0)
    return Desk(folder, keys)


def whoami(board: VirtualBoard) -> BoardFacts:
    with session(board.pty) as console:
        return console.whoami()
