"""Questions that the doctor asks over the network, each bounded in time and without effect.

The broker is asked with a bare CONNECT that keeps the session (clean session 0) and closes before
anything is read from it: what waits there for the gateway stays there.
"""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import ntplib

SECONDS_MAX = 5.0
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_CONNECT, _CONNACK = 0x10, 0x20
_KEEPALIVE_S = 30
_REFUSALS = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not take this client id",
    3: "it is not available",
    4: "user name or password is wrong",
    5: "this user is not allowed in",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """As whom to connect; None for user: as nobody, only to see that somebody answers."""

    client_id: str
    user: str | None = None
    password: str | None = None
    ca_file: Path | None = None


def ask_mqtt(url: str, caller: Caller) -> str:
    """Connect to a broker or endpoint; "" if it answers as it should, else what is wrong."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        with socket.create_connection((host, port), SECONDS_MAX) as plain:
            if parts.scheme == "mqtt":
                return _connect(plain, caller)
            with _context(caller).wrap_socket(plain, server_hostname=host) as secure:
                return _connect(secure, caller)
    except TimeoutError:
        return f"no answer within {SECONDS_MAX:.0f} s"
    except OSError as error:
        return str(error.strerror or error)


def ask_http(url: str) -> tuple[int, Any] | str:
    """Status and JSON of a page of the gateway's API; a text says why there is none."""
    try:
        answer = httpx.get(url, timeout=SECONDS_MAX, trust_env=False)
        return answer.status_code, answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def ask_time(server: str) -> float | str:
    """How many ms the machine's clock is behind an NTP server; a text says why nobody knows."""
    host, _, port = server.partition(":") if server.count(":") == 1 else (server, "", "")
    try:
        answer = ntplib.NTPClient().request(host, version=4, port=int(port or 123), timeout=3)
    except (ntplib.NTPException, OSError, ValueError) as error:
        return str(error)
    offset_s: float = answer.offset
    return offset_s * 1_000


def _context(caller: Caller) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=caller.ca_file)
    if caller.user is None:
        # Our own endpoint, reached as 127.0.0.1: its certificate names something else.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _connect(stream: socket.socket, caller: Caller) -> str:
    stream.sendall(_connect_packet(caller))
    answer = b""
    while len(answer) < 4:
        more = stream.recv(4 - len(answer))
        if not more:
            return "it closed the connection without an answer"
        answer += more
    if answer[0] != _CONNACK or answer[1] != 2:
        return "it does not speak MQTT"
    if answer[3] == 0 or caller.user is None:
        return ""
    return _REFUSALS.get(answer[3], f"it answered with code {answer[3]}")


def _connect_packet(caller: Caller) -> bytes:
    flags, fields = 0, [caller.client_id]
    if caller.user is not None:
        flags |= 0x80
        fields.append(caller.user)
        if caller.password is not None:
            flags |= 0x40
            fields.append(caller.password)
    body = _text("MQTT") + bytes([4, flags]) + _KEEPALIVE_S.to_bytes(2, "big")
    body += b"".join(_text(field) for field in fields)
    return bytes([_CONNECT]) + _length(len(body)) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _length(number: int) -> bytes:
    digits = bytearray()
    while True:
        number, digit = divmod(number, 128)
        digits.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(digits)
