"""What a flashing came to, as one JSON object."""

from hashlib import sha256
from typing import Any

from gateway.board.flash import Flashing
from gateway.board.flash_states import State
from gateway.shell.errors import OperatorFault


def report(flashing: Flashing, fault: OperatorFault | None) -> dict[str, Any]:
    """States, board, what was written, what was kept, and the fault; what is not known is null."""
    return {
        "ok": flashing.course.state is State.DONE,
        "states": [str(state) for state in flashing.course.states],
        "board": _board(flashing),
        "firmware": _firmware(flashing),
        "architecture": flashing.architecture or None,
        "baud": flashing.pace.baud,
        "ranges": _ranges(flashing),
        "protected": _protected(flashing),
        "written": flashing.written,
        "error": None if fault is None else _error(fault),
    }


def _board(flashing: Flashing) -> dict[str, Any]:
    found = flashing.found
    return {
        "port": flashing.port,
        "chip": found and found.chip,
        "mac": flashing.mac or None,
        "flash_bytes": found and found.flash_bytes,
        "keyed": found and found.keyed,
        "provisioned": found and found.provisioned,
    }


def _firmware(flashing: Flashing) -> dict[str, Any] | None:
    official = flashing.official
    if official is None:
        return None
    return {"chip": official.chip, "version": official.version}


def _ranges(flashing: Flashing) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "offset": one.offset,
            "bytes": len(one.data),
            "sha256": sha256(one.data).hexdigest(),
        }
        for one in (flashing.plan.ranges if flashing.plan else ())
    ]


def _protected(flashing: Flashing) -> list[dict[str, Any]]:
    return [
        {"name": row.name, "offset": row.offset, "bytes": row.size, "md5": told}
        for row, told in flashing.hashes.items()
    ]


def _error(fault: OperatorFault) -> dict[str, Any]:
    return {"what": fault.what, "why": fault.why, "do": fault.do, "code": str(fault.code)}
