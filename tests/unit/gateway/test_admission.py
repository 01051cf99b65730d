import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.admission import (
    AdmissionState,
    Arrival,
    Arrivals,
    Commit,
    Committed,
    OperatorLogged,
    Rejected,
    SendReceipt,
    step,
)
from gateway.core.cose import Role
from gateway.core.ids import owner_id
from gateway.core.model import AdmissionEntry, Kind
from gateway.core.operator import Approve, OperatorEvent
from gateway.core.registry import Policy
from gateway.core.verdicts import Verdict
from tests.unit.gateway.stations import CELL, NETWORK, NOON_MS, Signer, Station, message_of


class Shell:
    """What a gateway's shell does, with a dict for a disk."""

    def __init__(self, policy=Policy.OPEN):
        self.policy = policy
        self.log = []
        self.stored = set()
        self.events = []
        self.centres = {}
        self.state = AdmissionState.empty(NETWORK, policy)

    def deliver(self, *data, device=None, net_tag=b""):
        """Returns (refusals and duplicates by verdict, receipts)."""
        arrivals = tuple(Arrival(device, one, net_tag) for one in data)
        event = Arrivals(arrivals, self.stored.__contains__, 1)
        self.state, effects = step(self.state, NOON_MS, event)
        refused = [effect.verdict for effect in effects if isinstance(effect, Rejected)]
        receipts = [effect for effect in effects if isinstance(effect, SendReceipt)]
        for effect in effects:
            if isinstance(effect, Commit):
                receipts += self._commit(effect)
        return refused, receipts

    def _commit(self, commit):
        for entry, data, _ in commit.entries:
            assert entry.message_id not in self.stored
            self.stored.add(entry.message_id)
            self.log.append((entry, data))
        for cell, centre in commit.centres:
            assert cell not in self.centres
            self.centres[cell] = centre
        ids = tuple(entry.message_id for entry, _, _ in commit.entries)
        self.state, receipts = step(self.state, NOON_MS, Committed(ids))
        return list(receipts)

    def operator(self, body):
        event = OperatorEvent(bytes(32), len(self.events) + 1, bytes(32), 0, body)
        self.events.append(event)
        self.state, effects = step(self.state, NOON_MS, OperatorLogged(event))
        assert effects == ()

    def restored(self):
        return AdmissionState.restore(NETWORK, self.policy, self.log, self.events, self.centres)

    @property
    def verdicts(self):
        return [entry.verdict for entry, _ in self.log]


def test_hello_and_readings_in_one_batch_with_copies():
    shell, station = Shell(), Station()
    hello, readings = station.hello(), station.readings()
    refused, receipts = shell.deliver(hello, readings, readings, hello)
    assert refused == [Verdict.DUPLICATE] * 2
    assert shell.verdicts == [Verdict.OK] * 2
    (receipt,) = receipts
    assert receipt.device == station.kid
    assert receipt.body[:2] == (2, station.prev)
    assert list(shell.centres) == [CELL]


def test_no_receipt_before_the_commit():
    station = Station()
    arrivals = Arrivals((Arrival(None, station.hello()),), lambda _: False, 1)
    state, effects = step(AdmissionState.empty(NETWORK, Policy.OPEN), NOON_MS, arrivals)
    (commit,) = effects
    assert isinstance(commit, Commit)
    again = Arrivals((Arrival(None, commit.entries[0].data),), lambda _: False, 1)
    state, effects = step(state, NOON_MS, again)
    assert [type(effect) for effect in effects] == [Rejected]
    ids = (commit.entries[0].entry.message_id,)
    _, effects = step(state, NOON_MS, Committed(ids))
    assert [type(effect) for effect in effects] == [SendReceipt]


def test_a_duplicate_is_receipted_again_and_not_stored():
    shell, station = Shell(), Station()
    hello = station.hello()
    _, first = shell.deliver(hello)
    refused, again = shell.deliver(hello, hello)
    assert refused == [Verdict.DUPLICATE] * 2
    assert again == first
    assert len(shell.log) == 1


def test_another_signature_over_one_content_is_a_duplicate_or_bad():
    shell, station = Shell(), Station()
    hello = station.hello()
    shell.deliver(hello)
    assert shell.deliver(hello[:-1] + bytes([hello[-1] ^ 1])) == ([Verdict.BAD_SIGNATURE], [])


def test_strangers_are_not_receipted():
    shell, station = Shell(), Station()
    hello, readings = station.hello(), station.readings()
    assert shell.deliver(readings) == ([Verdict.UNREGISTERED], [])
    assert shell.log == []
    shell.deliver(hello)
    assert shell.deliver(readings)[0] == []


def test_the_policy_approved_keeps_a_hello_waiting():
    shell, station = Shell(Policy.APPROVED), Station()
    hello = station.hello()
    assert shell.deliver(hello) == ([Verdict.WAITING_APPROVAL], [])
    assert shell.log == []
    shell.operator(Approve(station.kid))
    refused, receipts = shell.deliver(hello)
    assert (refused, len(receipts)) == ([], 1)


def test_the_topic_names_the_sender():
    shell, station = Shell(), Station()
    hello = station.hello()
    assert shell.deliver(hello, device=bytes(16))[0] == [Verdict.TOPIC_MISMATCH]
    assert shell.deliver(hello, device=station.kid)[0] == []


def test_final_refusals_are_stored_and_receipted():
    shell, station = Shell(), Station()
    shell.deliver(station.hello())
    bad = station.make(Kind.READINGS, [])
    later = station.make(Kind.READINGS, [], version=32)
    refused, (receipt,) = shell.deliver(bad, later)
    assert refused == []
    assert shell.verdicts == [Verdict.OK, Verdict.BAD_BODY, Verdict.UNKNOWN_MAJOR]
    assert receipt.body.up_to == 3
    assert receipt.body.refused == ((3, 21), (2, 22))
    assert shell.deliver(bad)[0] == [Verdict.DUPLICATE]


def test_what_is_not_final_stays_with_the_board():
    shell, station = Shell(), Station()
    shell.deliver(station.hello())
    spoiled = station.readings()[:-1]
    assert shell.deliver(spoiled) == ([Verdict.TRUNCATED], [])


def test_a_hello_with_a_broken_body_cannot_register():
    shell, station = Shell(), Station()
    assert shell.deliver(station.make(Kind.HELLO, [])) == ([Verdict.BAD_BODY], [])
    assert shell.deliver(station.make(Kind.HELLO, [], version=17))[0] == [Verdict.UNREGISTERED]
    assert shell.log == []


def test_a_registered_board_cannot_say_hello_for_another_key():
    shell, station, other = Shell(), Station(), Station("other")
    shell.deliver(station.hello())
    body = [other.public_key, "", [[1, 0, 60_000]], [0, 0, 0], bytes(32), CELL, None]
    assert shell.deliver(station.make(Kind.HELLO, body))[0] == [Verdict.KID_MISMATCH]


def test_claims_need_their_proof():
    shell, station, owner = Shell(), Station(), Signer("owner")
    shell.deliver(station.hello())
    owner20 = owner_id(owner.public_key)
    good = owner.sign1(Role.OWNER, [station.kid, owner.public_key])
    stolen = owner.sign1(Role.OWNER, [bytes(16), owner.public_key])
    shell.deliver(station.make(Kind.CLAIM, [owner20, 1, stolen]))
    assert shell.state.registry.owner_of(station.kid) is None
    shell.deliver(station.make(Kind.CLAIM, [owner20, 1, good]))
    assert shell.state.registry.owner_of(station.kid) == owner20
    assert shell.verdicts == [Verdict.OK, Verdict.BAD_BODY, Verdict.OK]


def test_a_batch_gives_one_receipt_a_device():
    shell = Shell()
    stations = [Station(str(n)) for n in range(3)]
    batch = [s.hello() for s in stations] + [s.readings() for s in stations for _ in range(4)]
    refused, receipts = shell.deliver(*batch)
    assert refused == []
    assert [one.device for one in receipts] == sorted(s.kid for s in stations)
    assert {one.body.up_to for one in receipts} == {5}


def test_a_centre_is_written_with_the_first_hello_of_its_cell():
    shell = Shell()
    shell.deliver(Station("1").hello(), Station("2").hello())
    shell.deliver(Station("3").hello(), Station("4").hello(cell=0x872830828FFFFFF))
    assert set(shell.centres) == {CELL, 0x872830828FFFFFF}


def test_a_damaged_store_is_an_error():
    shell, station = Shell(), Station()
    shell.deliver(station.hello())
    ((entry, data),) = shell.log
    for damaged in (data[:-65] + b"\x00" + data[-64:], data[:-1]):
        shell.log = [(entry, damaged)]
        with pytest.raises(ValueError, match="is damaged"):
            shell.restored()


def traffic():
    """Messages of two stations that touch every part of the state."""
    one, two = Station("one"), Station("two")
    messages = [one.hello(), two.hello(cell=0x872830828FFFFFF)]
    for station in (one, two):
        messages += [
            station.readings(),
            station.make(Kind.CLAIM, [station.kid + bytes(4), 0, None]),
            station.make(Kind.READINGS, []),
            station.make(Kind.READINGS, [], version=32),
            station.make(Kind(9), [bytes(16), 0], version=17),
            station.readings(seq=station.seq + 5),
            station.gap(station.seq - 4, station.seq - 3),
            station.hello(),
        ]
        fork = station.readings(seq=2, prev=bytes(16))
        messages.append(fork)
    return messages


MESSAGES = traffic()


@given(
    st.lists(st.sampled_from(MESSAGES), max_size=40),
    st.lists(st.integers(1, 6), min_size=1),
    st.sampled_from(Policy),
    st.integers(0, 3),
)
def test_restoring_gives_the_state_that_was_built_live(sent, sizes, policy, approvals):
    shell = Shell(policy)
    for device in [message_of(data).device for data in MESSAGES[:approvals]]:
        shell.operator(Approve(device))
    queue = iter(sent)
    for size in itertools.cycle(sizes):
        batch = list(itertools.islice(queue, size))
        if not batch:
            break
        shell.deliver(*batch)
    assert shell.restored() == shell.state


@given(st.permutations(MESSAGES))
def test_with_resends_any_order_ends_in_one_state(order):
    shell, reference = Shell(), Shell()
    for data in MESSAGES:
        reference.deliver(data)
    shell.deliver(*order)
    # Boards keep what was not receipted, and send it again.
    shell.deliver(*order)
    assert shell.stored == reference.stored
    assert shell.state == reference.state
    assert isinstance(shell.log[0][0], AdmissionEntry)
