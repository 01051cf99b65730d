"""An SNTP server that can be wrong, slow, rude or away (RFC 5905), for simulated boards.

It answers with bytes and knows nothing of clocks but the true time that it is given.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

UNIX_1900_S = 2_208_988_800
BYTES = 48
MILLION = 1_000_000


@dataclass(slots=True)
class NtpServer:
    """wrong_ms: how far its clock is ahead. loss_ppm: requests or answers that get lost. stratum
    0: it sends kisses of death with `kiss`. way_ms_max: longest way there, and back.
    """

    generator: random.Random
    wrong_ms: int = 0
    loss_ppm: int = 0
    way_ms_max: int = 60
    stratum: int = 2
    kiss: bytes = b"RATE"
    distance_ms: int = 20
    asked: int = 0

    def ways_ms(self) -> tuple[int, int] | None:
        """How long the request and the answer travel; None: one of them never arrives."""
        self.asked += 1
        if self.generator.randrange(MILLION) < self.loss_ppm:
            return None
        return (
            self.generator.randrange(1, self.way_ms_max + 1),
            self.generator.randrange(1, self.way_ms_max + 1),
        )

    def answer(self, request: bytes, utc_ms: int) -> bytes:
        """What leaves at once when the request came at utc_ms of true time."""
        told = _stamp(utc_ms + self.wrong_ms)
        reference = self.kiss if self.stratum == 0 else b"\x7f\x00\x00\x01"
        distance = (self.distance_ms << 16) // 1000
        head = struct.pack(">BBbbII", 0x24, self.stratum, 6, -20, 0, distance)
        return head + reference + told + request[40:BYTES] + told + told


def _stamp(unix_ms: int) -> bytes:
    seconds, milliseconds = divmod(unix_ms, 1000)
    # Rounded up: who cuts to ms gets the same ms back.
    fraction = -(-(milliseconds << 32) // 1000)
    return struct.pack(">II", (seconds + UNIX_1900_S) % (1 << 32), fraction)
