from contextlib import suppress

import pytest
from cairn import cbor, downlinks
from cairn.downlinks import DownlinkError
from hypothesis import given
from hypothesis import strategies as st

ID16 = b"i" * 16


def receipt(up_to: int, ranges: object, refused: object) -> bytes:
    return cbor.encode([16, 17, b"d" * 16, 1, 0, [up_to, ID16, ranges, refused, 0]])


@pytest.mark.parametrize(
    "ranges",
    [
        [[5, 9]],  # up_to would be 9
        [[6, 9]],  # touches up_to
        [[9, 8]],
        [[7, 9], [9, 12]],  # overlaps
        [[7, 9], [10, 12]],  # touches
        [[20, 22], [7, 9]],  # descends
        [[7, 9], [7, 9]],
        [[7, 9, 10]],
        [[7, 1 << 53]],
        [[10 * n, 10 * n + 1] for n in range(1, 34)],
        7,
        [7],
    ],
)
def test_ranges_refused(ranges: object) -> None:
    with pytest.raises(DownlinkError) as refused:
        downlinks.parse(receipt(5, ranges, []))
    assert refused.value.code == "ranges"


@pytest.mark.parametrize(
    "refused", [[[0, 22]], [[7, 256]], [[7]], [[7, -1]], [[n, 1] for n in range(1, 10)], None]
)
def test_refusals_refused(refused: object) -> None:
    with pytest.raises(DownlinkError) as error:
        downlinks.parse(receipt(5, [], refused))
    assert error.value.code == "refused"


def test_a_receipt_with_all_that_it_may_hold() -> None:
    ranges = [[10 * n, 10 * n + 5] for n in range(1, 33)]
    refused = [[7, 22], [8, 255]] * 4
    kind, to, serial, time_ms, body = downlinks.parse(receipt(5, ranges, refused))
    assert (kind, to, serial, time_ms) == (17, b"d" * 16, 1, 0)
    assert body[:2] == (5, ID16)
    assert body[2] == tuple(tuple(pair) for pair in ranges)
    assert body[3] == tuple(tuple(pair) for pair in refused)


SMALL = st.recursive(
    st.one_of(st.none(), st.integers(-1, 300), st.binary(max_size=33), st.text(max_size=9)),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=20,
)


@given(st.integers(15, 24), st.one_of(SMALL, st.lists(SMALL, min_size=1, max_size=5)))
def test_any_body_parses_or_is_refused(kind: int, body: object) -> None:
    payload = cbor.encode([16, kind, b"", 1, 0, body])
    for data in (payload, cbor.encode(body)):
        for parse in (
            downlinks.parse,
            downlinks.parse_statement,
            downlinks.parse_time_answer,
        ):
            with suppress(DownlinkError):
                parse(data)
