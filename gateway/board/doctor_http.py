"""A gateway as the doctor asks it: its public HTTP API, and a bare TCP connection.

Nothing here raises because something cannot be reached: that is a finding.
"""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx

from gateway.board.doctor_sides import (
    REGISTERED,
    UNKNOWN,
    WAITING,
    Accepted,
    DeviceLook,
    Flag,
    NetworkLook,
    Refusal,
    Unreached,
    Wait,
)
from gateway.board.fetched import fetched
from gateway.core.verdicts import ADVICE, Verdict

_CONNECT_SECONDS_MAX = 5.0
_BUSY_PAUSE_S = 1.0
_BUSY_TRIES = 5
_POLL_S = 1.0
# The last year of a calendar: a time behind it cannot be shown.
_MS_MAX = 253_402_300_799_999
# Reasons for which readings that were admitted brought nothing, or less.
_FLAGGED = {Verdict.LOW_QUALITY, Verdict.NO_READINGS}


class HttpGateway:
    """One gateway by its URL, such as http://127.0.0.1:8080."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def network(self) -> NetworkLook | Unreached:
        told, known = self._get("/v1/onboarding"), self._get("/v1/network")
        if isinstance(told, Unreached):
            return told
        if isinstance(known, Unreached):
            return known
        try:
            return NetworkLook(
                str(told["network_id"]),
                str(told["name"]),
                bool(told["simulated"]),
                str(told["admission_policy"]),
                _ms_or_none(known["protocol_time_ms"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            return self._other(error)

    def device(self, name: str) -> DeviceLook | Unreached:
        found = self._get(f"/v1/onboarding/{name}")
        if isinstance(found, Unreached):
            return found
        try:
            reading = found["readings"]
            return DeviceLook(
                state=_state(found["state"]),
                last_ms=_ms_or_none(found["last_ms"]),
                last_kind=None if found["last_kind"] is None else str(found["last_kind"]),
                registered_ms=_ms_or_none(found["registered_ms"]),
                interval_ms=_ms_or_none(found["reporting_interval_ms"]),
                reading=None if reading is None else _accepted(reading),
                refused=[_refusal(one) for one in found["refused"]],
                position=int(found["position"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            return self._other(error)

    def flag(self, name: str) -> Flag | None:
        found = self._get(f"/v1/stations/{name}")
        row = None if isinstance(found, Unreached) else found.get("last_epoch")
        if not isinstance(row, dict):
            return None
        reason = str(row.get("reason"))
        verdict = next((one for one in _FLAGGED if one.name.lower() == reason), None)
        if verdict is None:
            return None
        epoch = row.get("epoch")
        return Flag(epoch, reason, *ADVICE[verdict]) if isinstance(epoch, int) else None

    def reaches(self, host: str, port: int) -> bool:
        try:
            socket.create_connection((host, port), _CONNECT_SECONDS_MAX).close()
        # The board said where: that need not be an address at all.
        except (OSError, OverflowError, UnicodeError):
            return False
        return True

    def _get(self, path: str) -> dict[str, Any] | Unreached:
        """The JSON object at a path. A gateway that reads its log anew is asked again."""
        for left in reversed(range(_BUSY_TRIES)):
            try:
                # No proxy of the environment: what is asked is who answers boards.
                status, content = fetched(self.url + path)
                found = json.loads(content)
            except (httpx.HTTPError, httpx.InvalidURL, RecursionError, ValueError) as error:
                return Unreached(self.url, str(error) or type(error).__name__)
            if status == httpx.codes.SERVICE_UNAVAILABLE and left:
                time.sleep(_BUSY_PAUSE_S)
                continue
            if not httpx.codes.is_success(status) or not isinstance(found, dict):
                return Unreached(self.url, f"{path} was answered with {status}")
            return found
        raise AssertionError("the last try returns")

    def _other(self, error: Exception) -> Unreached:
        return Unreached(self.url, f"what answers is no gateway of this version ({error!r})")


def _state(value: object) -> str:
    if value not in {REGISTERED, WAITING, UNKNOWN}:
        raise ValueError(f"no state of a device: {value!r}")
    return str(value)


def _ms(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MS_MAX:
        raise ValueError(f"no time: {value!r}")
    return value


def _ms_or_none(value: object) -> int | None:
    return None if value is None else _ms(value)


def _accepted(row: dict[str, Any]) -> Accepted:
    position = int(row["position"])
    return Accepted(str(row["message_id"]), _ms(row["recv_ms"]), str(row["verdict"]), position)


def _refusal(row: dict[str, Any]) -> Refusal:
    what, do = str(row["what"]), str(row["do"])
    return Refusal(str(row["verdict"]), _ms(row["recv_ms"]), what, do)


def patience(
    seconds: float, tell: Callable[[float], None], listen: Callable[[float], None] = time.sleep
) -> Callable[[Any, str], Wait]:
    """A way to wait for a gateway to hear of a device: seconds at most, asked once a second.

    tell: gets how long it has been; listen: what is done for so many seconds between questions.
    """

    def of(gateway: Any, name: str) -> Wait:
        def wait(enough: Callable[[DeviceLook], bool]) -> DeviceLook | Unreached:
            began = time.monotonic()
            while True:
                look: DeviceLook | Unreached = gateway.device(name)
                waited = time.monotonic() - began
                if isinstance(look, Unreached) or enough(look) or waited >= seconds:
                    return look
                tell(waited)
                listen(min(_POLL_S, max(seconds - waited, 0.0)))

        return wait

    return of
