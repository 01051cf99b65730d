"""Reads spec/vectors: one case a file."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "spec" / "vectors"
_HEX = ("network_id", "public_key", "bytes", "device", "seed", "message_id", "hello_key")
OTHER_FORMS = {"merkle", "beacon_schedule", "release_bundle", "release_index", "release_shown"}
"""Folders without messages; their tests read them themselves."""


def load(path: Path) -> SimpleNamespace:
    """A case with its hex fields as bytes; `device` is the 16-byte id of the topic."""
    case = SimpleNamespace(**json.loads(path.read_text()))
    for name in _HEX:
        if hasattr(case, name):
            setattr(case, name, bytes.fromhex(getattr(case, name)))
    case.folder = path.parent.name
    case.name = path.stem
    return case


CASES = [
    load(path) for path in sorted(FOLDER.glob("*/*.json")) if path.parent.name not in OTHER_FORMS
]


def each(*folders: str, role: str | None = None, where: Callable[[SimpleNamespace], bool] = bool):
    """Parametrise a test over the cases of these folders (all if none) and this role that
    `where` says yes to.
    """
    chosen = [
        case
        for case in CASES
        if (not folders or case.folder in folders) and role in {None, case.role} and where(case)
    ]
    assert chosen, (folders, role)
    names = [f"{case.folder}-{case.name}" for case in chosen]
    return pytest.mark.parametrize("case", chosen, ids=names)


def valid(case: SimpleNamespace) -> bool:
    """Signed and admitted, so it has a message id."""
    return hasattr(case, "message_id")


def signed_by_seed(case: SimpleNamespace) -> bool:
    """Anyone can sign it again; the crafted signatures have no seed."""
    return hasattr(case, "seed")


def diagnostic(value: object) -> str:
    """RFC 8949 diagnostic notation."""
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(map(diagnostic, value)) + "]"
    return str(value)
