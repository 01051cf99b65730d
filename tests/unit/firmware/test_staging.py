"""Samples in retained memory: what comes back is what went in, or nothing and a fault code."""

from hashlib import sha256
from itertools import pairwise

import pytest
from cairn import cbor, limits, staging
from cairn.batch import Batch
from hypothesis import given
from hypothesis import strategies as st

NOW_MS = 1_790_000_000_000
Sample = tuple[int, list[tuple[int, int, int, int | None, int]]]
FAULTS = ("retained.damaged", "retained.foreign")

readings = st.lists(
    st.tuples(
        st.integers(0, 300),
        st.integers(0, 255),
        st.integers(limits.EXPONENT_MIN, limits.EXPONENT_MAX),
        st.one_of(st.none(), st.integers(-limits.VALUE_MAX, limits.VALUE_MAX)),
        st.integers(0, limits.FAULT_MAX),
    ),
    max_size=6,
)
notes = st.lists(st.integers(-(2**40), 2**40), max_size=16)


@st.composite
def sample_lists(draw: st.DrawFn) -> list[Sample]:
    shapes = draw(st.lists(readings, min_size=1, max_size=3))
    at = draw(st.integers(0, NOW_MS))
    samples = []
    for step in draw(st.lists(st.integers(1, limits.DAY_MS), max_size=40)):
        at += step
        samples.append((at, draw(st.sampled_from(shapes))))
    return samples


def said(sample: Sample) -> Sample:
    """What a readings message would say of it: a fault only where there is no value."""
    at, values = sample
    return at, [(q, c, e, v, 0 if v is not None else f) for q, c, e, v, f in values]


def station(count: int, quantities: int = 4) -> list[Sample]:
    return [
        (
            NOW_MS + 300_000 * index,
            [(q, 0, -2, 2_000 + 7 * index + q, 0) for q in range(quantities)],
        )
        for index in range(count)
    ]


@given(notes, sample_lists(), st.integers(0, 1000))
def test_what_fits_comes_back_and_what_does_not_is_counted(
    noted: list[int], samples: list[Sample], before: int
) -> None:
    data, thinned = staging.pack(noted, samples, before)
    assert len(data) <= limits.RETAINED_BYTES
    back = staging.unpack(data)
    assert back[0] == noted
    assert back[2:] == (thinned, "")
    assert len(back[1]) == len(samples) - (thinned - before)
    wanted = [said(sample) for sample in samples]
    assert [sample for sample in wanted if sample in back[1]] == back[1]
    if thinned == before:
        assert back[1] == wanted


@given(notes, sample_lists(), st.data())
def test_every_changed_byte_is_found(
    noted: list[int], samples: list[Sample], data: st.DataObject
) -> None:
    stored = bytearray(staging.pack(noted, samples, 3)[0])
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] ^= data.draw(st.integers(1, 255))
    found = staging.unpack(bytes(stored))
    assert found[:3] == ([], [], 0)
    assert found[3] in FAULTS
    cut = staging.unpack(bytes(stored[:place]))
    assert cut[:3] == ([], [], 0)
    assert cut[3] in FAULTS or place == 0


@given(st.binary(max_size=300))
def test_foreign_bytes_are_said(data: bytes) -> None:
    assert staging.unpack(data)[3] in (FAULTS if data else ("",))
    assert staging.unpack(None) == ([], [], 0, "")


values = st.recursive(
    st.one_of(
        st.none(), st.integers(-(2**63), 2**64 - 1), st.binary(max_size=3), st.text(max_size=2)
    ),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=30,
)


@given(values, st.sampled_from([b"CR\x01", b"CR\x02", b"", b"XY\x01"]))
def test_content_with_a_good_check_is_not_trusted(content: object, head: bytes) -> None:
    body = head + cbor.encode(content)
    found = staging.unpack(body + sha256(body).digest()[:4])
    if head != b"CR\x01":
        assert found == ([], [], 0, "retained.foreign")
    elif found[3] == "":
        again, thinned = staging.pack(found[0], found[1], found[2])
        assert thinned == found[2]
        assert staging.unpack(again) == found
    else:
        assert found == ([], [], 0, "retained.damaged")


@given(sample_lists(), st.data())
def test_mutated_content_with_a_good_check_never_raises(
    samples: list[Sample], data: st.DataObject
) -> None:
    body = bytearray(staging.pack([1, 2], samples, 0)[0][:-4])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    found = staging.unpack(bytes(body) + sha256(body).digest()[:4])
    assert found[3] in ("", *FAULTS)
    times = [at for at, _ in found[1]]
    assert times == sorted(set(times))


@pytest.mark.parametrize("quantities,least", [(2, 150), (4, 100), (8, 60)])
def test_room_for_a_night_of_samples(quantities: int, least: int) -> None:
    """2,000 bytes hold 12 hours of a sample each five minutes with six quantities' worth."""
    count = 0
    while staging.pack([1] * 8, station(count + 1, quantities), 0)[1] == 0:
        count += 1
    assert least <= count


def test_the_newest_stay_closest() -> None:
    samples: list[Sample] = []
    thinned = 0
    for sample in station(1_000):
        data, thinned = staging.pack([7], [*samples, sample], thinned)
        _, samples, counted, _ = staging.unpack(data)
        assert counted == thinned
        assert samples[-1] == sample
    assert samples[0] == station(1)[0]
    assert thinned == 1_000 - len(samples)
    steps = [later[0] - earlier[0] for earlier, later in pairwise(samples)]
    assert steps[-1] == min(steps)
    assert steps[0] > 8 * steps[-1]


def test_a_sample_out_of_order_is_left_out_and_counted() -> None:
    first, second, third = station(3)
    data, thinned = staging.pack([], [first, third, second, third], 0)
    assert thinned == 2
    assert staging.unpack(data)[1] == [first, third]


def test_a_sample_that_never_fits_does_not_hang() -> None:
    wide = [(q, 0, 0, limits.VALUE_MAX, 0) for q in range(300)]
    data, thinned = staging.pack([5], [(1, wide), (2, wide)], 0)
    assert thinned == 2
    assert staging.unpack(data) == ([5], [], 2, "")


def test_unpacked_samples_make_a_readings_message() -> None:
    samples = staging.unpack(staging.pack([], station(12), 0)[0])[1]
    batch = Batch([(q, 0, 300_000) for q in range(4)])
    boot_ms = samples[-1][0] + 5_000
    for at, values_of in samples:
        batch.add(at - boot_ms, values_of)
    ((body, when),) = batch.close((boot_ms, 4, 500), 0)
    assert body[0] == 5_000
    assert when == (boot_ms, 4, 500)
    assert sum(body[1][:1]) == 300_000
