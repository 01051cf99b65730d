"""Token buckets: never more than burst + rate, exact in integers, bounded in memory."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.buckets import Buckets, Rate

MINUTE_MS = 60_000
RATES = st.builds(Rate, st.integers(1, 10_000), st.integers(1, 500))
TIMES = st.lists(st.integers(0, 10 * MINUTE_MS), min_size=1, max_size=200)


def test_a_burst_then_the_rate():
    buckets = Buckets(Rate(120, 3), 10)
    assert [buckets.take(b"a", 0) for _ in range(4)] == [True, True, True, False]
    assert not buckets.take(b"a", 499)
    assert buckets.take(b"a", 500)
    assert not buckets.take(b"a", 999)
    assert [buckets.take(b"a", 10 * MINUTE_MS) for _ in range(4)] == [True, True, True, False]


def test_keys_do_not_share():
    buckets = Buckets(Rate(1, 1), 10)
    assert buckets.take("a", 0)
    assert buckets.take("b", 0)
    assert not buckets.take("a", 0)


def test_what_is_refused_costs_nothing():
    buckets = Buckets(Rate(60, 1), 10)
    assert buckets.take(b"a", 0)
    assert not any(buckets.take(b"a", 10 * n) for n in range(1, 100))
    assert buckets.take(b"a", 1_000)


def test_what_is_given_back_can_be_taken_again():
    buckets = Buckets(Rate(1, 2), 10)
    assert buckets.take("a", 0)
    buckets.give_back("a")
    buckets.give_back("a")
    assert [buckets.take("a", 0) for _ in range(3)] == [True, True, False]
    buckets.give_back("never seen")
    assert len(buckets) == 1


def test_turning_the_clock_back_fills_nothing():
    buckets = Buckets(Rate(60, 1), 10)
    assert buckets.take(b"a", 100_000)
    assert not buckets.take(b"a", 0)
    assert not buckets.take(b"a", 100_999)
    assert buckets.take(b"a", 101_000)


def test_a_full_bucket_is_forgotten_before_an_empty_one():
    buckets = Buckets(Rate(60, 2), 3)
    for _ in range(2):
        buckets.take(b"spent", 0)
    buckets.take(b"b", 0)
    buckets.take(b"c", 1)
    # At 1,000 ms b is full again and spent is not, though spent was used first.
    buckets.take(b"d", 1_000)
    assert len(buckets) == 3
    assert [buckets.take(b"spent", 1_000) for _ in range(2)] == [True, False]


@given(RATES, TIMES)
def test_never_more_than_burst_and_rate_in_any_stretch(rate, times):
    buckets = Buckets(rate, 1)
    taken = [now_ms for now_ms in sorted(times) if buckets.take(b"a", now_ms)]
    for first, start_ms in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = rate.burst * MINUTE_MS + rate.per_minute * (taken[last] - start_ms)
            assert (last - first + 1) * MINUTE_MS <= allowed


@given(RATES, TIMES)
def test_a_sender_within_the_rate_is_never_refused(rate, times):
    buckets = Buckets(rate, 1)
    step_ms = -(-MINUTE_MS // rate.per_minute)
    assert all(buckets.take(b"a", number * step_ms) for number in range(len(times)))


@given(RATES, st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, MINUTE_MS))))
def test_the_order_of_different_keys_does_not_matter(rate, takes):
    takes = sorted(takes, key=lambda take: take[1])
    mixed, apart = Buckets(rate, 3), Buckets(rate, 3)
    together = [(key, now_ms, mixed.take(key, now_ms)) for key, now_ms in takes]
    by_key = sorted(takes, key=lambda take: take[0])
    alone = [(key, now_ms, apart.take(key, now_ms)) for key, now_ms in by_key]
    assert sorted(together) == sorted(alone)


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 100_000)), max_size=300),
)
def test_the_table_is_bounded_whoever_comes(tracked_max, takes):
    buckets = Buckets(Rate(10, 2), tracked_max)
    for number, now_ms in takes:
        buckets.take(number.to_bytes(16, "big"), now_ms)
        assert len(buckets) <= tracked_max
