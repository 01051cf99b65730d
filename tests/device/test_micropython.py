"""firmware/cairn on a real MicroPython interpreter gives the bytes that CPython gives."""

import hashlib
import importlib.util
import json
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import ed25519_zebra
import pytest
from cairn import cbor, cose, wire

from gateway.core.verify import signature_valid
from gateway.core.wire import Decoded, decode

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware" / "cairn"
SEED = 20261122
RunMicroPython = Callable[..., str]


def load_exercise() -> ModuleType:
    spec = importlib.util.spec_from_file_location("exercise", HERE / "exercise.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_value(rng: random.Random, depth: int) -> object:
    """A value of the CBOR profile in the description that exercise.py reads."""
    kind = rng.randrange(7 if depth else 5)
    if kind == 0:
        return None
    if kind == 1:
        magnitude = rng.getrandbits(rng.choice((4, 5, 8, 9, 16, 17, 32, 33, 63)))
        return {"int": str(magnitude if rng.random() < 0.6 else -1 - magnitude)}
    if kind == 2:
        return {"bytes": rng.randbytes(rng.choice((0, 1, 23, 24, 255, 256))).hex()}
    if kind == 3:
        return "".join(
            chr(rng.choice((65, 127, 233, 8364, 128512))) for _ in range(rng.randrange(30))
        )
    if kind == 4:
        return {"int": str(rng.choice((2**64 - 1, -(2**63), 2**31, 2**30, -(2**30) - 1)))}
    if kind == 5:
        return [random_value(rng, depth - 1) for _ in range(rng.choice((0, 1, 3, 24)))]
    keys = rng.sample(range(24), rng.randrange(6))
    return {"map": [[key, random_value(rng, depth - 1)] for key in keys]}


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data or b"\x00")
    at = rng.randrange(len(changed))
    changed[at] = rng.choice((0, 0x18, 0x19, 0x1B, 0x1C, 0x5F, 0x7F, 0xA1, 0xC2, 0xED, 0xF4, 0xFB))
    return bytes(changed[: rng.randrange(len(changed)) + 1] if rng.random() < 0.2 else changed)


TEXT_EDGES = ["c080", "eda080", "edbfbf", "f4908080", "f0808080", "e0a080", "f48fbfbf", "c3", "ff"]


def signing_cases(rng: random.Random) -> list[dict[str, str]]:
    sizes = (0, 1, 55, 111, 112, 128, 300, 1000, 3900) * 2
    return [
        {
            "seed": rng.randbytes(32).hex(),
            "payload": rng.randbytes(size).hex(),
            "hedge": rng.randbytes(32).hex() if index % 2 else "",
            "blind": rng.randbytes(32).hex() if index % 3 else "",
            "network_id": rng.randbytes(8).hex(),
        }
        for index, size in enumerate(sizes)
    ]


def verifying_cases(rng: random.Random) -> list[list[str]]:
    """Honest signatures, mutated ones, and the encodings on which verifiers differ."""
    cases = []
    for size in (0, 32, 200, 600):
        secret, public = ed25519_zebra.ed_from_seed(rng.randbytes(32))
        message = rng.randbytes(size)
        signature = ed25519_zebra.ed_sign(secret, message)
        cases.append([public, message, signature])
        cases.append([public, message + b"x", signature])
        cases.append([rng.randbytes(32), message, signature])
    identity, odd_identity = bytes([1]) + bytes(31), bytes([1]) + bytes(30) + b"\x80"
    above_p = (2**255 - 18).to_bytes(32, "little")
    cases += [[key, b"any", identity + bytes(32)] for key in (identity, odd_identity, above_p)]
    return [[part.hex() for part in case] for case in cases]


def make_cases() -> dict[str, object]:
    rng = random.Random(SEED)
    exercise = load_exercise()
    values = [random_value(rng, 3) for _ in range(80)]
    encoded = [bytes.fromhex(text) for text in exercise.results(empty_cases(values))["encoded"]]
    texts = [bytes([0x60 + len(t) // 2]) + bytes.fromhex(t) for t in TEXT_EDGES]
    damaged = [mutated(rng, rng.choice(encoded)) for _ in range(200)]
    return {
        "values": values,
        "bytes": [data.hex() for data in encoded + texts + damaged],
        "hashed": [rng.randbytes(n).hex() for n in (0, 1, 111, 112, 127, 128, 129, 1000)],
        "signed": signing_cases(rng),
        "verified": verifying_cases(rng),
    }


def empty_cases(values: list[object]) -> dict[str, object]:
    return {"values": values, "bytes": [], "hashed": [], "signed": [], "verified": []}


def test_codec_hash_signer_and_verifier_agree(micropython: RunMicroPython, tmp_path: Path) -> None:
    cases = make_cases()
    # Not as \\u escapes: MicroPython's json makes two surrogates of a character beyond U+FFFF.
    text = json.dumps(cases, ensure_ascii=False)
    (tmp_path / "cases.json").write_text(text, encoding="utf-8")
    copies = {tmp_path / "cases.json": "/cases.json"}
    there = json.loads(micropython(HERE / "exercise.py", copies))
    here = load_exercise().results(cases)
    for part, expected in here.items():
        assert there[part] == expected, f"{part}, seed {SEED}"
    # What was compared must not be trivially alike: both outcomes occur in each part.
    refused = [text for text in here["decoded"] if "_" in text or text in {"tag", "float"}]
    assert len(refused) >= 20
    assert {True, False} == set(here["verified"])
    assert here["sha512"][0] == here["sha512"][1]
    assert here["sha512"][0][0] == hashlib.sha512(b"").hexdigest()
    assert cbor.encode([]).hex() in here["encoded"]


def test_every_module_imports(micropython: RunMicroPython, tmp_path: Path) -> None:
    modules = []
    for path in sorted(FIRMWARE.rglob("*.py")):
        parts = path.relative_to(FIRMWARE.parent).with_suffix("").parts
        if parts[-1].startswith("esp32") or "esp32" in parts:
            continue  # imports machine and network, which only the ESP32 port has
        if parts[-1].endswith("_viper") or parts[-1] == "ed25519_machine":
            continue  # native code, which this build cannot have: test_machine_code_*.py
        modules.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    listed = tmp_path / "modules.json"
    listed.write_text(json.dumps(modules), encoding="utf-8")
    printed = micropython(HERE / "import_all.py", {listed: "/modules.json"})
    assert printed.split() == modules
    assert "cairn.ed25519" in modules


def test_interpreter_is_the_pinned_one(micropython: RunMicroPython, tmp_path: Path) -> None:
    script = tmp_path / "version.py"
    script.write_text("import sys\nprint(sys.implementation.name, sys.version)\n")
    printed = micropython(script)
    assert printed.startswith("micropython")
    assert "v1.29.0" in printed


@pytest.mark.slow
def test_a_station_works_through_two_boots(micropython: RunMicroPython) -> None:
    told = json.loads(micropython(HERE / "station.py"))
    network_id = bytes.fromhex(told["network_id"])
    messages = [bytes.fromhex(text) for text in told["messages"]]
    opened = [cose.open1(message, network_id, "device") for message in messages]
    decoded = [decode(message, network_id) for message in messages]
    assert all(isinstance(one, Decoded) for one in decoded), decoded
    heads = sorted(cbor.decode(one.payload)[:8] for one in opened)
    heads.sort(key=lambda head: head[3])
    public_key = heads[0][7][0]
    for one in opened:
        assert one.kid == cose.kid_of(public_key)
        assert signature_valid(public_key, one.signature, one.to_be_signed)
    # One chain: every prev is the id of the message before it.
    ids = {
        cbor.decode(one.payload)[3]: hashlib.sha256(one.to_be_signed).digest() for one in opened
    }
    seqs = [head[3] for head in heads]
    before = {seq: ids[last][:16] for last, seq in pairwise(seqs)}
    assert [head[4] for head in heads] == [bytes(16), *(before[seq] for seq in seqs[1:])]
    kinds = [(head[2], head[1]) for head in heads if head[1] != wire.STATUS]
    assert kinds[:2] == [(1, wire.HELLO), (1, wire.CLAIM)]
    assert kinds.count((1, wire.READINGS)) >= 3
    assert kinds.count((2, wire.READINGS)) >= 1
    assert kinds.count((2, wire.GAP)) == len([kind for _, kind in kinds if kind == wire.GAP]) == 1
    assert {head[6][0] for head in heads} == {wire.SOURCE_GATEWAY}
    for head in heads:
        if head[1] == wire.READINGS:
            assert [column[:3] for column in head[7][2]] == [[0, 0, -2], [1, 0, 0]]
    # What the outage held back came after it, and the gateway misses nothing.
    assert told["covered"] == told["up_to"] == max(seqs)
    # Hostile downlinks and faults of the operator are named on this interpreter too.
    assert told["refusals"] == [[6, "tick"]] * 2
    assert told["operator_faults"] == [
        "config.absent",
        "config.damaged",
        "identity.damaged",
        "identity.entropy",
    ]
    assert {"identity", "chain", "keys", "receipt", "announced"} <= set(told["files"])


def test_main_without_a_board_says_what_to_do(micropython: RunMicroPython, tmp_path: Path) -> None:
    script = tmp_path / "boot.py"
    script.write_text(
        "import sys\n"
        "sys.path.insert(0, '/lib')\n"
        "from cairn.errors import OperatorError\n"
        "try:\n"
        "    import main\n"
        "except OperatorError as error:\n"
        "    print(error.code, error.do)\n"
    )
    printed = micropython(script, {FIRMWARE.parent / "main.py": "/lib/main.py"})
    assert printed.startswith("main.no_board Use ")
