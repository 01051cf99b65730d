"""What a gateway knows of a station, as findings: whether it is registered, and its readings.

Pure: looks in, findings out. It asks nobody.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.board.doctor_report import Finding, Link, failed, passed
from gateway.board.doctor_sides import (
    REGISTERED,
    UNKNOWN,
    WAITING,
    DeviceLook,
    Flag,
    NetworkLook,
    Refusal,
    Unreached,
)
from gateway.board.station_codes import explained, stops
from gateway.core.genesis import DAY_MS

# A reading may be late by a resend and a tick of somebody's patience.
_LATE_INTERVALS = 3
_LATE_MS_MIN = 180_000
FOLLOW = "`cairn board run`"
_NO_FAULT = {"duplicate", "unregistered", "waiting_approval"}
_NO_OWNER = "It has named no owner, so its pay is held: `cairn board provision --owner`."
Said = Sequence[tuple[str, str]]


def unreached(link: Link, found: Unreached, *, board_came_through: bool) -> Finding:
    """The computer cannot ask the gateway, whatever the board can."""
    why = f"{found.why.rstrip('.')}."
    if board_came_through:
        why += " The board itself reached its broker and the gateway's time service."
    return failed(
        link,
        "gateway_unreached",
        f"This computer gets no answer from the gateway at {found.url}.",
        why,
        "Name the gateway with `--gateway URL`, or run this where it can be reached. On its own "
        "machine `cairn gateway doctor` says what it lacks.",
        gateway=found.url,
        board_came_through=board_came_through,
    )


def registry(
    name: str, look: DeviceLook, said: Said, *, policy: str, cable: bool, owned: bool
) -> Finding:
    """said: what the board told on its console while it was waited for; owned: False if its
    configuration is known and names no owner.
    """
    if look.state == REGISTERED:
        since = "" if look.registered_ms is None else f" since {utc(look.registered_ms)}"
        return passed(
            Link.REGISTRY,
            f"registered{since}",
            "" if owned else _NO_OWNER,
            registered_ms=look.registered_ms,
        )
    if look.state == WAITING:
        return failed(
            Link.REGISTRY,
            "device_waiting",
            f"The gateway has heard {name} and waits for its operator.",
            "Its setting admission_policy is `approved`: a person lets each station in.",
            f"`cairn station approve {name}` on the gateway's machine, or ask its operator.",
        )
    refused = refusals(look)
    if refused:
        return _refused(Link.REGISTRY, "device_refused", name, refused[0])
    assert look.state == UNKNOWN
    blamed = _blamed(Link.REGISTRY, said)
    if blamed is not None:
        return blamed
    do = f"{FOLLOW} follows the board until the gateway has heard it."
    return failed(
        Link.REGISTRY,
        "device_unknown",
        f"The gateway has never heard of {name}.",
        "No hello of it has come: it has not run since it was provisioned, or cannot connect.",
        do if cable else f"Plug the board in; {do}",
        admission_policy=policy,
    )


def reading(
    name: str, look: DeviceLook, network: NetworkLook | None, flag: Flag | None, said: Said
) -> Finding:
    """The last link: a reading of this station in the admission log, and a recent one."""
    newest = look.reading
    refused = next((one for one in refusals(look) if _newer(one, look)), None)
    if refused is not None:
        return _refused(Link.READING, "reading_refused", name, refused)
    late = _late(look, network)
    if newest is None or late:
        blamed = _blamed(Link.READING, said)
        if blamed is not None:
            return blamed
        return _silent(name, look, late=late)
    facts: dict[str, Any] = newest.document()
    if flag is not None and _whole_day(look, flag):
        return failed(
            Link.READING,
            "reading_flagged",
            f"Readings of {name} are admitted, and lost worth in epoch {flag.epoch}: {flag.what}",
            f"The main reason was `{flag.reason}`.",
            f"{flag.do} `cairn explain {name} {flag.epoch}` shows each reason.".strip(),
            **facts,
            reason=flag.reason,
            epoch=flag.epoch,
        )
    return passed(Link.READING, f"accepted at {utc(newest.recv_ms)}, {newest.message_id}", **facts)


def is_fresh(look: DeviceLook, network: NetworkLook | None) -> bool:
    """Whether a reading was admitted, and not longer ago than the station's interval asks for."""
    return look.reading is not None and not _late(look, network)


def refusals(look: DeviceLook) -> list[Refusal]:
    """Those that tell of a fault: others are how a device becomes known, or a repetition."""
    return [one for one in look.refused if one.verdict not in _NO_FAULT]


def _whole_day(look: DeviceLook, flag: Flag) -> bool:
    """A station that came in the course of a day cannot have reported all of it."""
    return look.registered_ms is not None and look.registered_ms <= flag.epoch * DAY_MS


def _late(look: DeviceLook, network: NetworkLook | None) -> bool:
    if look.reading is None or network is None or network.now_ms is None:
        return False
    limit_ms = max(_LATE_INTERVALS * (look.interval_ms or 0), _LATE_MS_MIN)
    return network.now_ms - look.reading.recv_ms > limit_ms


def _silent(name: str, look: DeviceLook, *, late: bool) -> Finding:
    newest = look.reading
    if late and newest is not None:
        what = f"The last reading of {name} came at {utc(newest.recv_ms)}."
        why = f"It reports every {(look.interval_ms or 0) // 1_000} s."
    elif look.last_kind in {None, "hello", "claim"}:
        what = f"{name} is registered and has sent no reading yet."
        why = "Its first sample may not be due yet, or it cannot take one."
    else:
        what = f"{name} sends ({look.last_kind} came last) and no readings."
        why = "No sensor gives a value, or the station is in safe mode."
    return failed(
        Link.READING,
        "device_silent",
        what,
        why,
        f"{FOLLOW} follows the board until a reading is accepted, and names what stops it.",
        last_ms=look.last_ms,
        last_kind=look.last_kind,
        interval_ms=look.interval_ms,
    )


def _newer(refusal: Refusal, look: DeviceLook) -> bool:
    """Refused after the newest reading was admitted, so it may be what stops them."""
    return look.reading is None or refusal.recv_ms > look.reading.recv_ms


def _refused(link: Link, code: str, name: str, refusal: Refusal) -> Finding:
    return failed(
        link,
        code,
        f"The gateway refused a message of {name} at {utc(refusal.recv_ms)}: "
        f"{refusal.verdict}. {refusal.what}",
        "spec/verdicts.md has every verdict.",
        refusal.do or f"{FOLLOW} shows whether it goes on.",
        verdict=refusal.verdict,
        recv_ms=refusal.recv_ms,
    )


def _blamed(link: Link, said: Said) -> Finding | None:
    """What the board complained of last while the gateway heard nothing."""
    for code, detail in reversed(said):
        known = explained(code)
        if known is None or not stops(code):
            continue
        return failed(
            link,
            code,
            known.what,
            f"The board said: {detail.rstrip('.')}." if detail else "",
            f"{known.do} `cairn board doctor` looks again.",
            said=detail,
        )
    return None


def utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
