"""The endpoint's protocol machine under any bytes, in any pieces."""

from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.mqtt import packets
from gateway.core.mqtt.connection import INBOUND_MAX, Limits
from gateway.core.mqtt.session import IN_FLIGHT_MAX, Sessions
from gateway.core.mqtt.topics import Topics
from tests.unit.gateway.mqtt import mqtt_kit as kit

LIMITS = Limits(packet_bytes_max=300)
TOPICS = st.sampled_from(
    [kit.UP, f"{kit.PREFIX}/{kit.OTHER_NAME}/up", f"{kit.PREFIX}/control/tick", "x"]
)
FILTERS = st.sampled_from([f"{kit.DOWN}/#", f"{kit.ALL}/#", f"{kit.ALL}/tick", "#", "a/+/b"])
PACKET_IDS = st.integers(0, 65_535)

PACKETS = st.one_of(
    st.builds(
        kit.publish,
        TOPICS,
        st.one_of(st.binary(max_size=20), st.integers(200, 700).map(bytes)),
        packet_id=PACKET_IDS,
    ),
    st.builds(
        lambda wanted, i: kit.subscribe(*wanted, packet_id=i),
        st.lists(st.tuples(FILTERS, st.integers(0, 2)), min_size=1, max_size=3),
        PACKET_IDS,
    ),
    st.builds(
        lambda names, i: kit.unsubscribe(*names, packet_id=i),
        st.lists(FILTERS, min_size=1, max_size=3),
        PACKET_IDS,
    ),
    PACKET_IDS.map(kit.puback),
    st.just(kit.PINGREQ),
    st.just(kit.DISCONNECT),
)
SESSIONS = st.lists(PACKETS, max_size=60).map(lambda rest: kit.connect() + b"".join(rest))


@st.composite
def mutated(draw):
    data = bytearray(draw(SESSIONS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.integers(0, 2)):
            case 0:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 1:
                del data[at]
            case 2:
                data[at:at] = draw(st.binary(min_size=1, max_size=3))
        if not data:
            break
    return bytes(data)


def pieces(data, cuts):
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


def client(**options):
    sessions = Sessions(4)
    made = kit.Client(sessions, limits=LIMITS, **options)
    for topic, qos in ((f"{kit.ALL}/tick", 0), (f"{kit.ALL}/keys", 0)):
        sessions.hold(made.message(topic, qos=qos))
    return made


ANY_BYTES = st.one_of(SESSIONS, mutated(), st.binary(max_size=200))


@given(ANY_BYTES, st.lists(st.integers(0, 1 << 16), max_size=40), st.booleans())
def test_how_the_bytes_are_split_changes_nothing(data, cuts, operator):
    whole, split = client(operator=operator), client(operator=operator)
    whole.send(data)
    split.send(*pieces(data, cuts))
    assert taken(split) == taken(whole)
    one, other = by_type(split.out), by_type(whole.out)
    assert without(one, PUBLISH, PUBACK) == without(other, PUBLISH, PUBACK)
    # A verdict comes between two reads, so bytes that come at once may end the connection before
    # what stood in front of them is acknowledged: its sender has to send it again.
    fewer, more = sorted((one[PUBACK], other[PUBACK]), key=len)
    assert fewer == (more[: len(fewer)] if whole.closed else more)
    # A retained message is sent once for subscriptions that come together, once for each that
    # come apart, and not at all for one that is withdrawn at once.
    assert set(other[PUBLISH]) <= set(one[PUBLISH])


PUBLISH, PUBACK = 3, 4


def taken(made):
    submits = [(type(e).__name__, *(tuple(e)[:-1]), e.ticket.packet_id) for e in made.submits]
    return submits, made.logins, made.closed


def by_type(out):
    """The packets that were written, in order, by type."""
    found, at = defaultdict(list), 0
    while at < len(out):
        size, start = packets.remaining_length(bytes(out), at + 1)
        found[out[at] >> 4].append(bytes(out[at : start + size]))
        at = start + size
    return found


def without(found, *kinds):
    return {kind: written for kind, written in found.items() if kind not in kinds}


@given(ANY_BYTES, st.lists(st.integers(0, 1 << 16), max_size=10))
def test_no_bytes_raise_or_pass_a_bound(data, cuts):
    made = client(acknowledge=False)
    waiting = 0
    for piece in pieces(data, cuts):
        made.send(piece)
        session = made.sessions.get(kit.DEVICE)
        if session is not None:
            session.hold(made.message(f"{kit.DOWN}/receipt"))
            session.offer(made.message(f"{kit.DOWN}/receipt"))
            made.run()
            assert len(session._in_flight) <= IN_FLIGHT_MAX
        waiting = len(made.submits)
        assert waiting <= INBOUND_MAX
    made.leave()


@given(ANY_BYTES)
def test_nothing_is_kept_without_a_login(data):
    made = client(answer=False)
    made.send(data)
    assert made.submits == []
    assert len(made.sessions) == 0


@given(st.binary(max_size=100), st.integers(0, 15))
def test_each_opener_takes_any_bytes(body, flags):
    packets.open_connect(body)
    packets.open_publish(flags, body)
    packets.open_puback(body)
    packets.open_subscribe(body)
    packets.open_unsubscribe(body)
    packets.remaining_length(body, 0)


@given(st.lists(st.binary(max_size=300), max_size=3), st.integers(0, 255))
def test_what_we_encode_we_can_take_apart(parts, first):
    made = packets.packet(first, *parts)
    size, start = packets.remaining_length(made, 1)
    assert made[0] == first
    assert made[start:] == b"".join(parts)
    assert size == len(made) - start


LEVELS = st.lists(st.sampled_from(["a", "b", "", "+", "#"]), min_size=1, max_size=4)


@given(LEVELS.map("/".join), LEVELS.map("/".join))
def test_filters_match_like_a_search_by_levels(name, topic):
    if not packets.filter_valid(name) or not packets.publishable(topic):
        return
    assert packets.filter_matches(name, topic) is slowly(name.split("/"), topic.split("/"))


def slowly(want, have):
    if want == ["#"]:
        return True
    if not want or not have:
        return not want and not have
    return want[0] in ("+", have[0]) and slowly(want[1:], have[1:])


@pytest.mark.parametrize("kind", ["up", "down/receipt"])
@given(device=st.binary(min_size=16, max_size=16))
def test_only_an_up_topic_names_a_sender(kind, device):
    topics = Topics(kit.NETWORK)
    topic = topics.up(device)
    assert topics.sender(topic) == device
    assert topics.sender(topic[: -len("up")] + kind) == (device if kind == "up" else None)


@given(st.text(max_size=60))
def test_any_text_as_topic_or_filter_is_judged(text):
    topics = Topics(kit.NETWORK)
    assert topics.sender(text) is None
    assert not topics.readable(text, kit.DEVICE)
