"""One workload for both interpreters: `results(cases)` must give the same strings on each.

Runs in the MicroPython subset. Started as a script it reads /cases.json and writes JSON.
"""

import json
import sys
from binascii import hexlify, unhexlify
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, "/lib")

from cairn import cbor, cose, ed25519, ed25519_verify, sha512


def _value(described: object) -> object:
    # JSON has neither byte strings nor integer keys: {"bytes": hex}, {"map": [[key, value]]}.
    if isinstance(described, list):
        return [_value(item) for item in described]
    if isinstance(described, dict):
        if "bytes" in described:
            return unhexlify(described["bytes"])
        if "int" in described:
            return int(described["int"])
        return {key: _value(item) for key, item in described["map"]}
    return described


def _decoded(data: bytes) -> str:
    try:
        return hexlify(cbor.encode(cbor.decode(data))).decode()
    except cbor.CborError as error:
        return error.code


def _opened(data: bytes, network_id: bytes, role: str) -> str:
    try:
        opened = cose.open1(data, network_id, role)
    except cose.CoseError as error:
        return error.code
    return hexlify(opened.kid + cose.message_id(opened.to_be_signed)).decode()


def _signed(case: dict) -> list:
    seed, payload, hedge, blind, network_id = [
        unhexlify(case[name]) for name in ("seed", "payload", "hedge", "blind", "network_id")
    ]
    signer = ed25519.Signer(seed, blind)
    kid = cose.kid_of(signer.public_key)

    def sign(to_be_signed: bytes) -> bytes:
        return signer.sign(to_be_signed, hedge, blind)

    message, id32 = cose.sign1(sign, kid, network_id, "device", payload)
    opened = cose.open1(message, network_id, "device")
    args = (signer.public_key, opened.to_be_signed)
    flipped = bytes([opened.signature[0] ^ 1]) + opened.signature[1:]
    return [
        hexlify(signer.public_key).decode(),
        hexlify(message).decode(),
        hexlify(id32).decode(),
        ed25519_verify.verify(args[0], args[1], opened.signature),
        ed25519_verify.verify(args[0], args[1], flipped),
        _opened(message[:-1], network_id, "device"),
    ]


def results(cases: dict) -> dict:
    """Every output of codec, hash, signer and verifier for the cases, as JSON-able values."""
    return {
        "encoded": [hexlify(cbor.encode(_value(v))).decode() for v in cases["values"]],
        "decoded": [_decoded(unhexlify(data)) for data in cases["bytes"]],
        "sha512": [
            [hexlify(kind(unhexlify(data)).digest()).decode() for data in cases["hashed"]]
            for kind in (sha512.sha512, sha512.Sha512)
        ],
        "signed": [_signed(case) for case in cases["signed"]],
        "verified": [
            ed25519_verify.verify(unhexlify(key), unhexlify(message), unhexlify(signature))
            for key, message, signature in cases["verified"]
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(results(json.loads(Path("/cases.json").read_text()))))
