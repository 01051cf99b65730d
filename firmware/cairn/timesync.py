"""The first time source: GET /v1/time over plain HTTP, answered by a signed statement.

No TLS here: a certificate's validity needs the very time that is being asked for.
"""

from . import base64url, downlinks, limits

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board, Event, Stream
    from .keyring import Keyring

_NONCE_BYTES = 16


async def fetch_time(
    board: "Board", keyring: "Keyring", device: bytes, host: str, port: int
) -> "tuple[int, int, int] | str":
    """(utc_ms, at_ticks, uncertainty_ms) from the gateway, or a code that says why not."""
    nonce = board.entropy(_NONCE_BYTES)
    asked = board.ticks()
    try:
        stream = await board.stream(host, port, None)
    except OSError:
        return "unreachable"
    done = board.event()
    board.spawn(_close_late(stream, done))
    try:
        # Only the request's own round trip bounds the error; the connection was before it.
        asked = board.ticks()
        await stream.write(_request(host, nonce))
        answer = await _read_all(stream)
    except OSError:
        return "broken"
    finally:
        done.set()
        stream.close()
    arrived = board.ticks()
    body = http_body(answer)
    if body is None:
        return "http"
    stated = await _stated_time(keyring, device, nonce, body)
    if isinstance(stated, str):
        return stated
    round_trip = arrived - asked
    return stated + round_trip // 2, arrived, (round_trip + 1) // 2


async def _close_late(stream: "Stream", done: "Event") -> None:
    # A peer that neither answers nor hangs up would hold the task for ever.
    if not await done.wait(limits.HTTP_TIMEOUT_MS):
        stream.close()


async def _stated_time(
    keyring: "Keyring", device: bytes, nonce: bytes, body: bytes
) -> "int | str":
    try:
        statement, message = downlinks.parse_time_answer(body)
    except downlinks.DownlinkError as error:
        return error.code
    opened, code = keyring.open(message)
    if opened is None:
        return code
    try:
        kind, to, serial, time_ms, fields = downlinks.parse(opened.payload)
    except downlinks.DownlinkError as error:
        return error.code
    if kind != downlinks.TIME or to not in (b"", device):
        return "kind"
    if fields[0] != nonce:
        return "nonce"
    code = await keyring.adopt(statement)
    if code:
        return code
    return await keyring.verify(opened, serial, time_ms) or time_ms


def _request(host: str, nonce: bytes) -> bytes:
    text = base64url.encode(nonce)
    # HTTP/1.0: the answer ends with the connection and is never chunked.
    return ("GET /v1/time?nonce=%s HTTP/1.0\r\nHost: %s\r\n\r\n" % (text, host)).encode()


async def _read_all(stream: "Stream") -> bytes:
    answer = b""
    while len(answer) <= limits.HTTP_BYTES_MAX:
        part = await stream.read(1024)
        if not part or http_body(answer + part) is not None:
            return answer + part
        answer += part
    return b""


def http_body(answer: bytes) -> "bytes | None":
    """Body of a complete 200 answer with a Content-Length (RFC 9112), else None."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = answer[:end].split(b"\r\n")
    status = lines[0].split(b" ")
    if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or status[1] != b"200":
        return None
    for line in lines[1:]:
        colon = line.find(b":")
        if line[:colon].lower() == b"content-length":
            digits = line[colon + 1 :].strip()
            if not digits.isdigit() or len(digits) > 5:
                return None
            body = answer[end + 4 :]
            size = int(digits)
            return body[:size] if len(body) >= size else None
    return None
