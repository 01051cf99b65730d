"""The worker's part of one ingest batch: judged, durable, and with what is to be sent for it."""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.core.admission import ADMITTED, FINALLY_REFUSED, Arrival, Rejected
from gateway.core.downlink import Downlink
from gateway.core.verdicts import Verdict
from gateway.shell.service import Gateway, Judged
from gateway.shell.source import Submission

# These need no notice: a receipt tells of them.
_RECEIPTED = ADMITTED | FINALLY_REFUSED | {Verdict.DUPLICATE}


class Outcome(NamedTuple):
    """judged: one for each submission, in order."""

    judged: list[Judged]
    downlinks: list[Downlink]
    epochs_closed: int


def judge(
    gateway: Gateway, batch: Sequence[Submission], early: Sequence[Verdict | None], now_ms: int
) -> Outcome:
    """Deliver what has no early verdict and count the rest; when this returns, it is durable."""
    arrivals = [Arrival(one.device, one.data, one.net_tag) for one in batch]
    left = [arrival for arrival, verdict in zip(arrivals, early, strict=True) if verdict is None]
    rejected = [
        Rejected(arrival, verdict)
        for arrival, verdict in zip(arrivals, early, strict=True)
        if verdict is not None
    ]
    delivered = iter(gateway.deliver(left, now_ms, rejected))
    judged = [
        next(delivered) if verdict is None else Judged(verdict, b"", None, None)
        for verdict in early
    ]
    downlinks = gateway.take_downlinks() + _notices(gateway, batch, judged, now_ms)
    return Outcome(judged, downlinks, len(gateway.advance(now_ms)))


def _notices(
    gateway: Gateway, batch: Sequence[Submission], judged: Sequence[Judged], now_ms: int
) -> list[Downlink]:
    """The newest refusal of each sender whom we know: a flood of them costs one signature."""
    newest = {
        one.sender: (found.verdict, one.data)
        for one, found in zip(batch, judged, strict=True)
        if one.sender is not None and found.verdict not in _RECEIPTED
    }
    return [
        gateway.refusal_notice(sender, verdict, data, now_ms)
        for sender, (verdict, data) in newest.items()
    ]
