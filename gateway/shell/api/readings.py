"""The readings of one station, as far as they are released, page by page.

Work is bounded per page, whatever is asked for: messages looked at and samples given out. A page
ends between two messages, so it may hold a message's samples more than its limit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.core.genesis import DAY_MS
from gateway.core.model import Column, DeviceMessage, Readings
from gateway.core.quantities import Quantity
from gateway.core.senml import Sample
from gateway.core.verdicts import Verdict
from gateway.core.wire import decode
from gateway.shell.api.index import IndexedReadings, MessageIndex
from gateway.shell.api.release import Releases
from gateway.shell.store.base import Store

MESSAGES_MAX = 256
_BEGINNING = (-(1 << 62), -1)


class Wanted(NamedTuple):
    """What a buyer asks for: from_ms <= time < to_ms, one quantity (None: every), behind a cursor.

    samples_max: a page ends with the message that reaches it.
    """

    device: bytes
    from_ms: int
    to_ms: int
    quantity: str | None
    samples_max: int
    cursor: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Page:
    """samples by time; released_to_ms: complete up to there, but for what comes late.

    cursor: where the next page begins, None if this is the last.
    """

    samples: list[Sample]
    released_to_ms: int
    cursor: tuple[int, int] | None


def read_page(
    store: Store,
    index: MessageIndex,
    releases: Releases,
    wanted: Wanted,
    *,
    quantities: Mapping[int, Quantity],
    now_ms: int,
) -> Page:
    """One page of what is released at protocol time now_ms."""
    released_to_ms = releases.released_to(now_ms)
    start = wanted.cursor or (wanted.from_ms - 1, _BEGINNING[1])
    # A sample of another day than its message does not count, so none lies further away.
    before_ms = min(wanted.to_ms, released_to_ms) + DAY_MS
    found = index.readings(wanted.device, start, before_ms, MESSAGES_MAX)
    messages = store.messages([one.message_id for one in found])
    samples: list[Sample] = []
    for one in found:
        decoded = decode(messages[one.message_id], store.network_id)
        assert not isinstance(decoded, Verdict), "an admitted message does not decode"
        samples += (
            sample
            for sample in _samples(decoded.message, one, quantities, releases)
            if wanted.from_ms <= sample.time_ms < wanted.to_ms
            and wanted.quantity in {None, sample.quantity}
            and releases.released(sample.time_ms, now_ms)
        )
        if len(samples) >= wanted.samples_max:
            return Page(_by_time(samples), released_to_ms, (one.last_ms, one.position))
    more = len(found) == MESSAGES_MAX
    cursor = (found[-1].last_ms, found[-1].position) if more else None
    return Page(_by_time(samples), released_to_ms, cursor)


def _by_time(samples: list[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda one: (one.time_ms, one.quantity, one.channel))


def _samples(
    message: DeviceMessage,
    one: IndexedReadings,
    quantities: Mapping[int, Quantity],
    releases: Releases,
) -> Iterator[Sample]:
    body = message.body
    day = one.utc_ms // DAY_MS
    if not isinstance(body, Readings) or one.utc_ms < 0 or _is_future(one, releases):
        return
    for column in body.columns:
        known = quantities.get(column.quantity)
        name, unit = (known.name, known.unit) if known else (str(column.quantity), "")
        for value, fault, age_ms in _cells(column, body):
            time_ms = one.utc_ms - age_ms
            if time_ms // DAY_MS != day:
                continue
            late = one.recv_ms >= releases.release_ms(time_ms)
            yield Sample(
                time_ms,
                name,
                column.channel,
                unit,
                column.exponent,
                value,
                fault,
                one.message_id,
                one.recv_ms,
                late,
            )


def _cells(column: Column, body: Readings) -> Iterator[tuple[int | None, int, int]]:
    """Value, fault and age of each sample that was taken."""
    faults = dict(column.faults)
    for position, (value, age_ms) in enumerate(
        zip(column.values, body.sample_ages_ms, strict=True)
    ):
        fault = faults.get(position, 0)
        if value is not None or fault:
            yield value, fault, age_ms


def _is_future(one: IndexedReadings, releases: Releases) -> bool:
    """A message from the future has no time that counts (`clockmap.place`)."""
    slots = releases.rules(one.recv_ms // DAY_MS).slot_clock
    return one.utc_ms > one.recv_ms + slots.future_slots_max * slots.slot_ms
