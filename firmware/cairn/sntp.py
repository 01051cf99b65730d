"""The second time source: one SNTP exchange (RFC 4330, RFC 5905 section 14). Borrowed when asked.

The answer is not signed. What protects it: the request's transmit timestamp is 64 random bits
that the answer must echo, so only who sees the request can answer it; and the clock lets it move
the time by very little (clock.py).
"""

from . import limits

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board

PORT = 123
NONCE_BYTES = 8
_BYTES = 48
# No leap warning, version 4, mode client.
_FIRST = b"\x23"
_MODE_SERVER = 4
_UNSYNCHRONISED = 3
_STRATUM_MAX = 15
_UNIX_1900_S = 2_208_988_800
_ERA_S = 1 << 32
# RFC 5905 calls an answer that may be wrong by more than this unfit.
_DISTANCE_MS_MAX = 1_000


async def fetch(board: "Board", host: str, near_ms: int) -> "tuple[int, int, int] | str":
    """(utc_ms, at_ticks, uncertainty_ms) from host, or a code that says why not. near_ms: UTC now
    to within 68 years.
    """
    nonce = board.entropy(NONCE_BYTES)
    asked = board.ticks()
    try:
        answer = await board.datagram(host, PORT, request(nonce), limits.SNTP_TIMEOUT_MS)
    except OSError:
        return "sntp.unreachable"
    arrived = board.ticks()
    parsed = parse(answer, nonce, near_ms)
    if isinstance(parsed, str):
        return parsed
    received_ms, sent_ms, distance_ms = parsed
    round_trip = arrived - asked - (sent_ms - received_ms)
    # Each of the four times is cut to whole ms.
    if round_trip < -2:
        return "sntp.times"
    half = (max(0, round_trip) + 1) // 2
    return sent_ms + half, arrived, half + distance_ms + 2


def request(nonce: bytes) -> bytes:
    """A client's packet. nonce: 8 fresh random bytes, which say nothing of our clock."""
    return _FIRST + bytes(_BYTES - 1 - NONCE_BYTES) + nonce


def parse(answer: bytes, nonce: bytes, near_ms: int) -> "tuple[int, int, int] | str":
    """(UTC ms when the request came there, when the answer left, how wrong that server may be in
    ms), or a code that says why the answer is refused.
    """
    # What follows the 48 bytes is an authenticator, for which there is no key here.
    if len(answer) < _BYTES or answer[0] & 7 != _MODE_SERVER or not 3 <= answer[0] >> 3 & 7 <= 4:
        return "sntp.packet"
    # First of all: nobody who did not see the request may say anything, a kiss included.
    if answer[24:32] != nonce:
        return "sntp.origin"
    stratum = answer[1]
    if stratum == 0:
        return _kiss(answer[12:16])
    if answer[0] >> 6 == _UNSYNCHRONISED or stratum > _STRATUM_MAX:
        return "sntp.unsynchronised"
    received, sent = answer[32:40], answer[40:48]
    if received == bytes(8) or sent == bytes(8):
        return "sntp.times"
    received_ms, sent_ms = unix_ms(received, near_ms), unix_ms(sent, near_ms)
    if sent_ms < received_ms:
        return "sntp.times"
    distance_ms = (_short_ms(answer[4:8]) + 1) // 2 + _short_ms(answer[8:12])
    if distance_ms > _DISTANCE_MS_MAX:
        return "sntp.distance"
    return received_ms, sent_ms, distance_ms


def unix_ms(stamp: bytes, near_ms: int) -> int:
    """Unix ms of an NTP timestamp in the era that brings it closest to near_ms: its 32 bits of
    seconds begin anew in 2036, and every 136 years from there.
    """
    near_s = near_ms // 1000
    ahead = (int.from_bytes(stamp[:4], "big") - _UNIX_1900_S - near_s) % _ERA_S
    if ahead >= _ERA_S // 2:
        ahead -= _ERA_S
    return (near_s + ahead) * 1000 + (int.from_bytes(stamp[4:], "big") * 1000 >> 32)


def _short_ms(field: bytes) -> int:
    # 16 bits of seconds, 16 of fraction; rounded up, for it is an error bound.
    return (int.from_bytes(field, "big") * 1000 + 0xFFFF) >> 16


def _kiss(code: bytes) -> str:
    if code in (b"DENY", b"RSTR"):
        return "sntp.denied"
    return "sntp.rate" if code == b"RATE" else "sntp.kiss"
