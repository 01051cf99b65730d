"""Runs under another interpreter, whose COSE library (cwt) shares no code with ours.

Reads JSON lines from stdin and answers each with one. `verify`: the payload of a COSE_Sign1, or
null if the library refuses it. `sign`: a COSE_Sign1 made by the library.
"""

import json
import sys
from typing import Any

from cwt import COSE, COSEKey
from cwt.exceptions import CWTError


def key_of(request: dict[str, str]) -> COSEKey:
    """An OKP key (RFC 8152 section 13.2), private if the request holds a seed."""
    fields: dict[int, Any] = {
        1: 1,
        2: bytes.fromhex(request["kid"]),
        3: -8,
        -1: 6,
        -2: bytes.fromhex(request["public_key"]),
    }
    if "seed" in request:
        fields[-4] = bytes.fromhex(request["seed"])
    return COSEKey.new(fields)


def answer(request: dict[str, str]) -> str | None:
    """Hex of the result, or None for a refusal."""
    data = bytes.fromhex(request["data"])
    aad = bytes.fromhex(request["external_aad"])
    key = key_of(request)
    if request["do"] == "sign":
        header = {1: -8, 4: bytes.fromhex(request["kid"])}
        return COSE.new().encode_and_sign(data, key, protected=header, external_aad=aad).hex()
    try:
        return COSE.new().decode(data, key, external_aad=aad).hex()
    except (CWTError, ValueError):
        return None


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
