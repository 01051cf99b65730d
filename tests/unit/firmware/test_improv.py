"""Improv on the board: packets from whatever bytes come, and what the server answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from cairn import improv
from cairn.boards import base
from cairn.identity import device_id, device_name
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.firmware.bench import BenchBoard, make_config
from tests.unit.firmware.bench_world import FaultyFiles, Wait, World

VECTORS = json.loads((Path(__file__).parent / "improv_vectors.json").read_text())
STATE, ERROR, RESULT = improv.STATE, improv.ERROR, improv.RESULT
AUTHORIZED, PROVISIONING, PROVISIONED = 2, 3, 4
SECOND_MS = 1_000


def fed(parser: improv.Parser, data: bytes) -> list[tuple[int, bytes]]:
    return [found for byte in data if (found := parser.feed(byte)) is not None]


def rpc(command: int, data: bytes = b"") -> bytes:
    return improv.packet(improv.RPC, bytes([command, len(data)]) + data)


def settings_of(name: bytes, password: bytes) -> bytes:
    return bytes([len(name)]) + name + bytes([len(password)]) + password


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["comment"])
def test_vectors(case: dict[str, Any]) -> None:
    """Packets as other implementations write them, and broken ones."""
    found = fed(improv.Parser(), bytes.fromhex(case["bytes"]))
    assert [[kind, data.hex()] for kind, data in found] == case["packets"]
    for kind, data in found:
        if kind and "written" not in case:
            assert improv.packet(kind, data)[:-1] in bytes.fromhex(case["bytes"])


@given(st.integers(1, 255), st.binary(max_size=255))
def test_what_is_written_is_read(kind: int, data: bytes) -> None:
    parser = improv.Parser()
    assert fed(parser, improv.packet(kind, data)) == [(kind, data)]
    assert not parser.inside


@given(
    st.binary(max_size=80).filter(lambda text: b"IMPROV\x01" not in text), st.binary(max_size=9)
)
def test_a_packet_is_found_behind_any_text(text: bytes, data: bytes) -> None:
    parser = improv.Parser()
    fed(parser, text)
    if parser.inside or text.endswith((b"I", b"IM", b"IMP", b"IMPR", b"IMPRO", b"IMPROV")):
        parser.drop()
    assert fed(parser, improv.packet(3, data)) == [(3, data)]


@given(st.binary(max_size=600))
def test_no_bytes_break_it_and_ctrl_c_is_never_lost_for_long(data: bytes) -> None:
    parser = improv.Parser()
    for byte in data:
        parser.feed(byte)
    # A packet is at most so long; behind it, or after it was dropped, Ctrl-C is one again.
    for _ in range(improv._START + 256):
        parser.feed(0)
    assert not parser.inside


@given(st.binary(max_size=60))
def test_credentials_are_whole_or_none(data: bytes) -> None:
    found = improv.credentials(data)
    if found is not None:
        name, password = found
        assert data == settings_of(name, password)
        assert 1 <= len(name.decode().encode()) <= 32
        assert not password or 8 <= len(password) <= 64


@given(st.binary(max_size=255))
def test_an_rpc_says_its_own_length(data: bytes) -> None:
    found = improv.parse(data)
    if found is not None:
        assert data == bytes([found[0], len(found[1])]) + found[1]


@given(st.integers(1, 6), st.lists(st.binary(max_size=120), max_size=6))
def test_a_result_never_is_longer_than_a_packet(command: int, texts: list[bytes]) -> None:
    ((kind, data),) = fed(improv.Parser(), improv.result(command, texts))
    assert kind == RESULT
    assert improv.parse(data) is not None


class BenchConsole(base.Console):
    """air: (name -> password); a network that is "slow" answers after 20 s."""

    def __init__(self, board: "ConsoleBoard") -> None:
        self.board = board
        self.came = bytearray()
        self.written = bytearray()
        self.opened = False
        self.air = {b"home": b"secret-secret", b"open": b""}
        self.radio_fails = False
        self.joined: list[tuple[bytes, bytes]] = []

    def open(self) -> None:
        self.opened = True

    def close(self) -> None:
        self.opened = False

    def read(self) -> int:
        return self.came.pop(0) if self.came else -1

    def write(self, data: bytes) -> None:
        self.written += data

    def networks(self) -> list[tuple[bytes, int, bool]]:
        if self.radio_fails:
            raise OSError("Wifi Unknown Error 0x0102")
        return [(b"home", -50, True), ("café".encode(), -61, False)]

    async def join(self, name: bytes, password: bytes, timeout_ms: int) -> int:
        if self.radio_fails:
            raise OSError("Wifi Unknown Error 0x0102")
        await Wait(min(timeout_ms, 3_000), None)
        self.joined.append((name, password))
        if name not in self.air:
            return 201
        if self.air[name] != password:
            return 202
        self.board.rssi_dbm = -50
        return 0

    def address(self) -> str:
        return "192.168.4.7"

    def chip(self) -> str:
        return "esp32c3"


class ConsoleBoard(BenchBoard):
    def __init__(self, world: World) -> None:
        super().__init__(world, FaultyFiles())
        self.rssi_dbm: int | None = None
        self.serial = BenchConsole(self)
        self.reports: list[str] = []

    def console(self) -> base.Console | None:
        return None if self.serial.opened else self.serial

    def report(self, code: str, detail: str) -> None:
        self.reports.append(f"{code}: {detail}")

    def info(self) -> tuple[int, int, int | None, int | None]:
        return 60_000, 1, None, self.rssi_dbm


class Setting:
    """A board with a console on which Improv is served."""

    def __init__(self, config: Any = None) -> None:
        self.world = World()
        self.board = ConsoleBoard(self.world)
        self.serial = self.board.serial
        improv.attend(self.board, config)

    def run(self, duration_ms: int) -> None:
        self.world.run(self.world.now + duration_ms)

    def ask(self, data: bytes, wait_ms: int = 100) -> list[tuple[int, bytes]]:
        """Packets that came back."""
        self.serial.written.clear()
        self.serial.came += data
        self.run(wait_ms)
        return fed(improv.Parser(), bytes(self.serial.written))


def state(value: int) -> tuple[int, bytes]:
    return STATE, bytes([value])


def error(value: int) -> tuple[int, bytes]:
    return ERROR, bytes([value])


def texts(answer: tuple[int, bytes]) -> tuple[int, list[bytes]]:
    """(command, texts) of a result."""
    kind, data = answer
    assert kind == RESULT
    assert data[1] == len(data) - 2
    rest, found = data[2:], []
    while rest:
        found.append(rest[1 : 1 + rest[0]])
        rest = rest[1 + rest[0] :]
    return data[0], found


def test_state_and_info_of_a_board_without_anything() -> None:
    place = Setting()
    assert place.ask(rpc(improv.CURRENT)) == [error(0), state(AUTHORIZED)]
    done, answer = place.ask(rpc(improv.INFO))
    assert done == error(0)
    name = device_name(device_id(place.board.public_key())).encode()
    assert texts(answer) == (improv.INFO, [b"cairn", b"0.1.0", b"esp32c3", name])


def test_networks_end_with_an_empty_answer() -> None:
    done, *answers = Setting().ask(rpc(improv.SCAN))
    assert done == error(0)
    assert [texts(answer) for answer in answers] == [
        (improv.SCAN, [b"home", b"-50", b"YES"]),
        (improv.SCAN, ["café".encode(), b"-61", b"NO"]),
        (improv.SCAN, []),
    ]


def test_credentials_that_work_are_joined_and_lead_to_the_networks_page() -> None:
    place = Setting(make_config(time_host="gateway.test", time_port=8080))
    answers = place.ask(rpc(improv.SETTINGS, settings_of(b"home", b"secret-secret")), 5_000)
    assert answers[:3] == [error(0), state(PROVISIONING), state(PROVISIONED)]
    name = device_name(device_id(place.board.public_key()))
    url = f"http://gateway.test:8080/flash#station={name}".encode()
    assert texts(answers[3]) == (improv.SETTINGS, [url])
    assert place.serial.joined == [(b"home", b"secret-secret")]
    done, now, answer = place.ask(rpc(improv.CURRENT))
    assert (done, now) == (error(0), state(PROVISIONED))
    assert texts(answer) == (improv.CURRENT, [url])


@pytest.mark.parametrize(
    "name, password", [(b"home", b"wrong-wrong"), (b"away", b""), (b"home", b"")]
)
def test_credentials_that_do_not_work_are_told_and_can_be_given_again(
    name: bytes, password: bytes
) -> None:
    place = Setting()
    answers = place.ask(rpc(improv.SETTINGS, settings_of(name, password)), 5_000)
    assert answers == [error(0), state(PROVISIONING), error(3), state(AUTHORIZED)]
    answers = place.ask(rpc(improv.SETTINGS, settings_of(b"open", b"")), 5_000)
    assert answers[2] == state(PROVISIONED)
    assert texts(answers[3]) == (improv.SETTINGS, []), "there is no page without a network"


def test_while_it_joins_it_says_so_and_takes_no_other_credentials() -> None:
    place = Setting()
    place.ask(rpc(improv.SETTINGS, settings_of(b"home", b"secret-secret")))
    assert place.ask(rpc(improv.CURRENT)) == [error(0), state(PROVISIONING)]
    again = rpc(improv.SETTINGS, settings_of(b"open", b""))
    assert place.ask(again) == [state(PROVISIONING)]
    place.run(5_000)
    assert place.serial.joined == [(b"home", b"secret-secret")]


def test_a_radio_that_fails_is_an_unknown_error() -> None:
    place = Setting()
    place.serial.radio_fails = True
    answers = place.ask(rpc(improv.SETTINGS, settings_of(b"home", b"secret-secret")))
    assert answers == [error(0), state(PROVISIONING), error(255), state(AUTHORIZED)]
    assert [texts(one) for one in place.ask(rpc(improv.SCAN))[1:]] == [(improv.SCAN, [])]
    assert [line.partition(":")[0] for line in place.board.reports] == ["wifi.refused"] * 2


@pytest.mark.parametrize(
    "data, code",
    [
        (rpc(9), improv.UNKNOWN),
        (improv.packet(improv.RPC, b""), improv.INVALID),
        (improv.packet(improv.RPC, b"\x01\x05abc"), improv.INVALID),
        (rpc(improv.CURRENT)[:-2] + b"\x00\n", improv.INVALID),
        (rpc(improv.SETTINGS), improv.INVALID),
        (rpc(improv.SETTINGS, settings_of(b"", b"secret-secret")), improv.INVALID),
        (rpc(improv.SETTINGS, settings_of(b"home", b"short")), improv.INVALID),
        (rpc(improv.SETTINGS, settings_of(b"n" * 33, b"")), improv.INVALID),
        (rpc(improv.SETTINGS, settings_of(b"\xff\xfe", b"")), improv.INVALID),
        (rpc(improv.SETTINGS, settings_of(b"home", b"") + b"x"), improv.INVALID),
    ],
)
def test_what_is_wrong_with_a_command(data: bytes, code: int) -> None:
    place = Setting()
    assert place.ask(data) == [error(code)]
    assert place.ask(rpc(improv.CURRENT)) == [error(0), state(AUTHORIZED)]
    assert not place.serial.joined


@pytest.mark.parametrize("kind", [STATE, ERROR, RESULT, 77])
def test_packets_that_are_no_command_are_ignored(kind: int) -> None:
    assert Setting().ask(improv.packet(kind, b"\x02")) == []


def test_ctrl_c_ends_the_program_and_leaves_what_follows_to_the_prompt() -> None:
    place = Setting()
    place.serial.came += b"text\x03\x03\x01"
    with pytest.raises(KeyboardInterrupt):
        place.run(100)
    assert not place.serial.opened, "from now on Ctrl-C is the interpreter's"
    assert place.serial.came == b"\x03\x01"


def test_a_three_in_a_packet_is_no_ctrl_c_and_a_packet_that_stops_holds_up_no_other() -> None:
    place = Setting()
    assert 3 in rpc(improv.INFO)
    assert len(place.ask(rpc(improv.INFO))) == 2
    assert place.ask(rpc(improv.INFO)[:8] + b"\x03") == []
    assert place.ask(b"", 2 * SECOND_MS) == []
    place.serial.came += b"\x03"
    with pytest.raises(KeyboardInterrupt):
        place.run(100)


def test_it_ends_when_the_network_is_there_and_lets_a_client_finish() -> None:
    place = Setting(make_config())
    place.run(90 * SECOND_MS)
    assert place.serial.opened, "without a network it waits for one"
    place.board.rssi_dbm = -60
    place.run(3 * SECOND_MS)
    assert not place.serial.opened
    improv.attend(place.board, make_config())
    assert len(place.ask(rpc(improv.CURRENT))) == 3
    place.run(59 * SECOND_MS)
    assert place.serial.opened
    place.run(3 * SECOND_MS)
    assert not place.serial.opened


def test_one_serves_at_a_time_and_a_board_without_a_console_is_left_alone() -> None:
    place = Setting()
    improv.attend(place.board, None)
    assert place.ask(rpc(improv.CURRENT)) == [error(0), state(AUTHORIZED)]
    improv.attend(BenchBoard(place.world, FaultyFiles()), None)


def test_without_a_configuration_it_stays() -> None:
    place = Setting()
    place.board.rssi_dbm = -60
    place.run(600 * SECOND_MS)
    assert len(place.ask(rpc(improv.CURRENT))) == 3
