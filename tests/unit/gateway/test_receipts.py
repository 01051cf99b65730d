from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cose import Role, sign1
from gateway.core.downlink import downlink_payload, receipt_body
from gateway.core.model import DeviceMessage, Gap, GapReason, Kind, NotEvaluated, TimeSource
from gateway.core.ranges import union
from gateway.core.receipts import NO_MESSAGE, RECEIPT_BYTES_MAX, Delivered, ReceiptBody
from gateway.core.verdicts import Verdict
from tests.unit.gateway.stations import NETWORK, Signer

SEQ_MAX = (1 << 53) - 1
VERDICTS = [Verdict.OK, Verdict.NOT_EVALUATED, Verdict.BAD_BODY, Verdict.UNKNOWN_MAJOR]


def message(name, seq, gap=None):
    body = NotEvaluated() if gap is None else Gap(*gap, 0, GapReason.UNUSED)
    message_id = name.to_bytes(16, "big") + bytes(16)
    return DeviceMessage(
        message_id, bytes(16), 16, 1, 1, seq, bytes(16), 0, TimeSource.NONE, 0, body
    )


def delivered(*messages):
    made = Delivered()
    for one in messages:
        made.add(one, Verdict.OK)
    return made


def id16(name):
    return name.to_bytes(16, "big")


def test_nothing_is_delivered_at_first():
    assert Delivered().receipt(9) == ReceiptBody(0, NO_MESSAGE, (), (), 9)


def test_up_to_stops_at_the_first_hole():
    got = delivered(message(1, 1), message(2, 2), message(5, 5), message(6, 6), message(8, 8))
    assert got.receipt(0) == ReceiptBody(2, id16(2), ((5, 6), (8, 8)), (), 0)


def test_a_gap_delivers_but_names_no_message():
    got = delivered(message(1, 1), message(9, 9, gap=(2, 5)))
    assert got.receipt(0)[:3] == (5, id16(1), ((9, 9),))
    got.add(message(4, 4), Verdict.OK)
    assert got.receipt(0)[:3] == (5, id16(4), ((9, 9),))
    only_gaps = delivered(message(9, 9, gap=(1, 5)))
    assert only_gaps.receipt(0)[:3] == (5, NO_MESSAGE, ((9, 9),))


def test_refusals_count_as_delivered_and_are_named_newest_first():
    got = Delivered()
    for seq in range(1, 12):
        got.add(message(seq, seq), Verdict.BAD_BODY if seq > 1 else Verdict.OK)
    receipt = got.receipt(0)
    assert receipt.up_to == 11
    assert receipt.refused == tuple((seq, 22) for seq in range(11, 3, -1))


def test_the_gap_of_a_refused_message_covers_nothing():
    got = Delivered()
    got.add(message(9, 9, gap=(1, 5)), Verdict.BAD_BODY)
    assert got.ranges == ((9, 9),)


@st.composite
def histories(draw, top=40):
    count = draw(st.integers(0, 14))
    made = []
    for name in range(1, count + 1):
        seq = draw(st.integers(1, top))
        gap = None
        if seq > 1 and draw(st.booleans()):
            first = draw(st.integers(1, seq - 1))
            gap = (first, draw(st.integers(first, seq - 1)))
        made.append((message(name, seq, gap), draw(st.sampled_from(VERDICTS))))
    return made


@given(histories(), st.data())
def test_the_order_of_arrival_changes_nothing(history, data):
    one, other = Delivered(), Delivered()
    for entry in history:
        one.add(*entry)
    for entry in data.draw(st.permutations(history)):
        other.add(*entry)
    assert one == other


@given(histories())
def test_receipts_agree_with_the_definition(history):
    got = Delivered()
    for entry in history:
        got.add(*entry)
    covered = []
    for one, verdict in history:
        covered.append((one.seq, one.seq))
        if isinstance(one.body, Gap) and verdict in {Verdict.OK, Verdict.NOT_EVALUATED}:
            covered.append((one.body.first, one.body.last))
    ranges = union(covered)
    assert got.ranges == ranges
    receipt = got.receipt(7)
    assert receipt.up_to == (ranges[0][1] if ranges and ranges[0][0] == 1 else 0)
    assert receipt.ranges == tuple(one for one in ranges if one[0] > receipt.up_to)
    below = [one for one, _ in history if one.seq <= receipt.up_to]
    head = min(
        (one.message_id[:16] for one in below if one.seq == max(o.seq for o in below)),
        default=NO_MESSAGE,
    )
    assert receipt.id16 == head
    final = {(one.seq, v.value) for one, v in history if v in {21, 22}}
    assert list(receipt.refused) == sorted(final, reverse=True)[:8]


@given(
    st.sets(st.integers(1, 2_000).map(lambda n: SEQ_MAX - 3 * n) | st.integers(1, 300)),
    st.sampled_from([0, 1, 1_795_000_000_000, (1 << 64) - 1]),
    st.sampled_from([1, (1 << 53) - 1]),
    st.sampled_from(VERDICTS),
)
def test_no_receipt_is_longer_than_its_limit(seqs, now_ms, serial, verdict):
    got = Delivered()
    for seq in seqs:
        got.add(message(1, seq), verdict)
    receipt = got.receipt(now_ms)
    signer = Signer("gateway")
    payload = downlink_payload(Kind.RECEIPT, bytes(16), serial, now_ms, receipt_body(receipt))
    data, _ = sign1(signer.sign, signer.kid, NETWORK, Role.GATEWAY, payload)
    assert len(data) <= RECEIPT_BYTES_MAX
    assert len(receipt.ranges) <= 32
    # What had to be left out is the newest.
    kept = tuple(one for one in got.ranges if one[0] > receipt.up_to)[: len(receipt.ranges)]
    assert receipt.ranges == kept


def test_the_limit_is_used_where_it_can_be():
    got = delivered(*(message(1, seq) for seq in range(2, 200, 2)))
    assert len(got.receipt(0).ranges) == 32
    worst = delivered(*(message(1, SEQ_MAX - 2 * n) for n in range(40)))
    assert len(worst.receipt(0).ranges) >= 13
