from contextlib import suppress
from hashlib import sha256

import pytest
from cairn import cbor, config
from cairn.boards.host import MemoryFiles
from cairn.errors import OperatorError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.firmware.bench import CELL, ROOT_PUBLIC, genesis, make_config

RES_8 = (CELL & ~(15 << 52)) | (8 << 52)
RES_7 = (CELL & ~(15 << 52)) | (7 << 52)


def test_genesis_gives_network_and_root() -> None:
    made = make_config()
    assert made.network_id == sha256(genesis()).digest()[:8]
    assert made.root_key == ROOT_PUBLIC
    assert not made.simulated
    assert make_config(genesis=genesis(1)).simulated
    assert made.reporting_interval_ms == 600_000


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"owner": None, "time_host": None, "antenna": (200, 50), "scoring_cell": RES_7},
        {"duty": (1, 600_000, 5), "owner_proof": b"proof", "samples_per_message": 1},
        {
            "broker_host": "broker.test",
            "broker_port": 8883,
            "broker_ca": b"-----BEGIN",
            "broker_password": "secret",
            "keepalive_s": 65_535,
        },
        {
            "sntp_host": "pool.ntp.test",
            "sensors": [[1, 0, 0, 118], (2, 1, 16)],
            "store_every_ms": 3_600_000,
        },
    ],
)
def test_config_survives_storage(changes) -> None:
    files = MemoryFiles()
    made = make_config(**changes)
    config.store(files, made)
    assert vars(config.load(files)) == vars(made)


@pytest.mark.parametrize(
    "changes,code",
    [
        ({"genesis": b"\xa0"}, "genesis"),
        ({"genesis": b""}, "genesis"),
        ({"genesis": cbor.encode([2, "n", ROOT_PUBLIC, 0, bytes(32), 0])}, "genesis"),
        ({"genesis": cbor.encode([1, "n", b"short", 0, bytes(32), 0])}, "genesis"),
        ({"sample_interval_ms": 999}, "sample_interval_ms"),
        ({"sample_interval_ms": 7_000}, "quantities"),
        ({"samples_per_message": 0}, "samples_per_message"),
        ({"samples_per_message": 256, "sample_interval_ms": 300_000}, None),
        ({"samples_per_message": 289}, "samples_per_message"),
        ({"status_interval_ms": 59_999}, "status_interval_ms"),
        ({"quantities": []}, "quantities"),
        ({"quantities": [(1, 0, 300_000), (0, 0, 300_000)]}, "quantities"),
        ({"quantities": [(0, 0, 300_000), (0, 0, 600_000)]}, "quantities"),
        ({"quantities": [(0, 0, 86_700_000)]}, "interval_ms"),
        ({"scoring_cell": RES_8}, "scoring_cell"),
        ({"scoring_cell": 0}, "scoring_cell"),
        ({"place_commitment": b"short"}, "place_commitment"),
        ({"owner": b"short"}, "owner"),
        ({"owner": None, "owner_proof": b"x"}, "owner_proof"),
        ({"owner_proof": b""}, "owner_proof"),
        ({"owner_proof": 5}, "owner_proof"),
        ({"owner_proof": bytes(513)}, "owner_proof"),
        ({"quantities": [(0, -1, 300_000)]}, "channel"),
        ({"quantities": [(-1, 0, 300_000)]}, "quantity"),
        ({"quantities": [(1 << 53, 0, 300_000)]}, "quantity"),
        ({"antenna": (1 << 53, 0)}, "antenna"),
        ({"antenna": (0, -(1 << 53))}, "antenna"),
        ({"duty": (1, 1 << 53, 0)}, "duty"),
        ({"duty": (0, 1, 0)}, "duty"),
        ({"duty": (1, 5, 5)}, "duty"),
        ({"duty": (2, 0, 0)}, "duty"),
        ({"outbox_bytes_max": 65_535}, "outbox_bytes_max"),
        ({"time_port": 0}, "time_port"),
        ({"time_host": ""}, "time_host"),
        ({"broker_host": ""}, "broker_host"),
        ({"broker_host": "b" * 254}, "broker_host"),
        ({"broker_port": 0}, "broker_port"),
        ({"broker_port": 65_536}, "broker_port"),
        ({"broker_ca": b"x"}, "broker_ca"),
        ({"broker_host": "b", "broker_ca": b""}, "broker_ca"),
        ({"broker_host": "b", "broker_ca": bytes(8_193)}, "broker_ca"),
        ({"broker_host": "b", "broker_ca": "text"}, "broker_ca"),
        ({"broker_password": "x"}, "broker_password"),
        ({"broker_host": "b", "broker_password": ""}, "broker_password"),
        ({"broker_host": "b", "broker_password": "x" * 129}, "broker_password"),
        ({"keepalive_s": 9}, "keepalive_s"),
        ({"keepalive_s": 65_536}, "keepalive_s"),
        ({"sntp_host": ""}, "sntp_host"),
        ({"store_every_ms": -1}, "store_every_ms"),
        ({"store_every_ms": 3_600_001}, "store_every_ms"),
        ({"sensors": [[1, 0]] * 16}, None),
        ({"sensors": [[1, 0]] * 17}, "sensors"),
        ({"sensors": [[1]]}, "sensors"),
        ({"sensors": [[1] * 9]}, "sensors"),
        ({"sensors": [[1, -1]]}, None),
        ({"sensors": [[1 << 53, 0]]}, "sensors"),
        ({"sensors": [[1, -(1 << 53)]]}, "sensors"),
    ],
)
def test_every_limit_has_a_code(changes, code) -> None:
    if code is None:
        make_config(**changes)
        return
    with pytest.raises(OperatorError) as refused:
        make_config(**changes)
    assert refused.value.code == "config." + code
    assert refused.value.why
    assert refused.value.do.endswith(".")


def test_absent_config_is_named() -> None:
    with pytest.raises(OperatorError, match=r"config\.absent"):
        config.load(MemoryFiles())


@given(st.integers(0, 300), st.integers(0, 255), st.integers(0, 300))
def test_damaged_config_is_an_operator_error(place: int, byte: int, length: int) -> None:
    data = bytearray(make_config().encode())
    data[place % len(data)] = byte
    for hostile in (bytes(data), bytes(data[:length])):
        with suppress(OperatorError):
            config.decode(hostile)


@given(st.lists(st.one_of(st.none(), st.integers(), st.binary(max_size=40)), max_size=16))
def test_config_of_other_shape_is_an_operator_error(fields) -> None:
    small = [field for field in fields if not isinstance(field, int) or abs(field) < 2**60]
    with pytest.raises(OperatorError):
        config.decode(cbor.encode([4, *small]))


def test_another_version_of_the_file_is_refused() -> None:
    fields = cbor.decode(make_config().encode())
    for other in ([3, *fields[1:]], [5, *fields[1:]], [4, *fields[1:20]]):
        with pytest.raises(OperatorError, match=r"config\.damaged"):
            config.decode(cbor.encode(other))


class FullFiles(MemoryFiles):
    full = False

    def write(self, name: str, data: bytes) -> None:
        if self.full:
            raise OSError(28)
        super().write(name, data)


@pytest.mark.parametrize("name", [config.FILE, config.SPARE])
def test_a_full_flash_keeps_no_station_with_one_copy_from_starting(name: str) -> None:
    files = FullFiles()
    wanted = make_config()
    config.store(files, wanted)
    files.remove(name)
    files.full = True
    assert config.load(files).encode() == wanted.encode()
