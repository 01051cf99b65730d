"""Token buckets: how often somebody may do something, in integers, at times that are given.

One event costs 1,000 milli-tokens. A table of buckets is bounded: it forgets those that are full
first, because a full bucket says no more than none.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

EVENT_MILLITOKENS = 1_000
_MINUTE_MS = 60_000
# How far a full table is searched for full buckets, so that making room has a bounded cost.
_LOOKED_AT_MAX = 64

Key = TypeVar("Key", bytes, str)


class Rate(NamedTuple):
    """burst events at once, and per_minute of them for long."""

    per_minute: int
    burst: int


@dataclass(slots=True)
class _Bucket:
    """spent: what is missing to a full bucket, in milli-tokens times ms of a minute (exact)."""

    spent: int
    time_ms: int


class Buckets(Generic[Key]):
    """Buckets of one rate by key; at most `tracked_max` of them are held."""

    def __init__(self, rate: Rate, tracked_max: int) -> None:
        assert rate.per_minute > 0
        assert rate.burst > 0
        assert tracked_max > 0
        # Scaled by a minute, so that a refill of a fraction of a milli-token is not lost.
        self._refill_per_ms = rate.per_minute * EVENT_MILLITOKENS
        self._cost = EVENT_MILLITOKENS * _MINUTE_MS
        self._capacity = rate.burst * self._cost
        self._tracked_max = tracked_max
        # Least recently used first: it is the one that has had most time to fill.
        self._buckets: OrderedDict[Key, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Key, now_ms: int) -> bool:
        """Spend one event of this key's; False, and nothing is spent, if there is none.

        A time before the key's last one counts as that: turning a clock back fills nothing.
        """
        bucket = self._filled(key, now_ms)
        if bucket.spent + self._cost > self._capacity:
            return False
        bucket.spent += self._cost
        return True

    def give_back(self, key: Key) -> None:
        """Undo one `take` of this key."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.spent = max(bucket.spent - self._cost, 0)

    def _filled(self, key: Key, now_ms: int) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._tracked_max:
                self._make_room(now_ms)
            bucket = self._buckets[key] = _Bucket(0, now_ms)
            return bucket
        self._buckets.move_to_end(key)
        passed_ms = max(now_ms - bucket.time_ms, 0)
        bucket.spent = max(bucket.spent - passed_ms * self._refill_per_ms, 0)
        bucket.time_ms = max(bucket.time_ms, now_ms)
        return bucket

    def _make_room(self, now_ms: int) -> None:
        oldest = list(islice(self._buckets.items(), _LOOKED_AT_MAX))
        full = [
            key
            for key, bucket in oldest
            if bucket.spent <= (now_ms - bucket.time_ms) * self._refill_per_ms
        ]
        for key in full or [oldest[0][0]]:
            del self._buckets[key]
