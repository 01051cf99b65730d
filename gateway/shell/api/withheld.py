"""What tells of radio contacts, and until when it stays here: beacon reports, witness reports and
reveals of a day are for nobody's eyes before the day's end + witness_until_ms (spec/coverage.md).

Whoever saw a tag before that could still write into a report of its own that it had heard it.
"""

from gateway.core.genesis import DAY_MS
from gateway.core.model import BeaconReport, DeviceMessage, Kind, Reveal, WitnessReport
from gateway.core.verdicts import Verdict
from gateway.core.wire import decode
from gateway.shell.api.release import Releases
from gateway.shell.store.base import Store

_REPORTS = frozenset({Kind.BEACON, Kind.WITNESS, Kind.REVEAL})
_PAGE = 1_000


def deadline_ms(day: int, releases: Releases) -> int:
    """When the reports of a day are no secret any more."""
    return (day + 1) * DAY_MS + releases.rules(day).coverage.witness_until_ms


def visible_ms(message: DeviceMessage, recv_ms: int, releases: Releases) -> int:
    """When an admitted message may be seen, as far as radio contacts are concerned; 0: always."""
    if message.kind not in _REPORTS:
        return 0
    body, day = message.body, recv_ms // DAY_MS
    if isinstance(body, BeaconReport | WitnessReport | Reveal):
        # A day that has not begun says nothing, and must not hold back a bundle for ever.
        day = min(body.day, day)
    return deadline_ms(day, releases)


def sample_visible_ms(recv_ms: int, data: bytes, network_id: bytes, releases: Releases) -> int:
    """The same of a refused message: what cannot be read may be a report that was cut off."""
    decoded = decode(data, network_id)
    if isinstance(decoded, Verdict):
        return deadline_ms(recv_ms // DAY_MS, releases)
    return visible_ms(decoded.message, recv_ms, releases)


def range_visible_ms(store: Store, first: int, last: int, day: int, releases: Releases) -> int:
    """When the newest report among the entries first <= p < last, closed with `day`, may be seen.

    Those that came during the day are of that day or before; only the ones behind it are read.
    """
    visible = deadline_ms(day, releases) if first < last else 0
    while last > first:
        begin = max(first, last - _PAGE)
        entries = store.entries(begin, last)
        behind = [entry for entry in entries if entry.recv_ms >= (day + 1) * DAY_MS]
        messages = store.messages([entry.message_id for entry in behind])
        for entry in behind:
            decoded = decode(messages[entry.message_id], store.network_id)
            assert not isinstance(decoded, Verdict), "an admitted message does not decode"
            visible = max(visible, visible_ms(decoded.message, entry.recv_ms, releases))
        if not behind:
            break
        last = begin
    return visible
