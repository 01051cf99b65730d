"""What every store must do. A database passes by subclassing `StoreConformance`.

The chain is recomputed here from protocol.md section 9, not with the gateway's code.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import cbor2
import pytest

from gateway.core.model import AdmissionEntry
from gateway.core.verdicts import Verdict
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.store.base import (
    Batch,
    Centre,
    Logged,
    LogHead,
    Refused,
    Store,
    StoredEpoch,
    StoredLink,
)

NETWORK = bytes(range(8))
SAMPLES_MAX = 3

OpenStore = Callable[[], Store]


def logged(number: int, verdict: Verdict = Verdict.OK, tag: bytes = b"") -> Logged:
    """An entry whose id and bytes follow from its number."""
    data = f"message {number}".encode()
    entry = AdmissionEntry(hashlib.sha256(data).digest(), 1_000 + number, verdict, 1, tag)
    return Logged(entry, data)


def chain(label: bytes, entries: list[object]) -> bytes:
    """h_n of protocol.md section 9 over CBOR items."""
    value = hashlib.sha256(label + NETWORK).digest()
    for entry in entries:
        value = hashlib.sha256(value + cbor2.dumps(entry, canonical=True)).digest()
    return value


def admission_chain(entries: list[AdmissionEntry]) -> bytes:
    return chain(
        b"cairn admission log",
        [[e.message_id, e.recv_ms, int(e.verdict), e.rules, e.net_tag] for e in entries],
    )


CLOSED = StoredEpoch(
    epoch=20_000,
    rules=1,
    admission_first=0,
    admission_last=2,
    operator_first=0,
    operator_last=1,
    manifest_hash=bytes(32),
    manifest=b"manifest",
    closing=b"closing",
    outcome=b"outcome",
    attestation=b"attestation",
    coverage=b"coverage",
)


class StoreConformance:
    """Subclasses give the fixture `open_store`: each call opens the same database again."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError

    def test_a_new_store_is_empty(self, open_store: OpenStore) -> None:
        store = open_store()
        assert store.network_id == NETWORK
        assert store.admission_head() == LogHead(0, chain(b"cairn admission log", []))
        assert store.operator_head() == LogHead(0, chain(b"cairn operator log", []))
        assert store.entries(0, 10) == ()
        assert list(store.iterate()) == []
        assert store.epoch_numbers() == ()
        assert store.refused_counts() == {}

    def test_entries_come_back_in_order_with_their_bytes(self, open_store: OpenStore) -> None:
        store = open_store()
        lines = [logged(n, Verdict.OK if n % 3 else Verdict.BAD_BODY, b"tag") for n in range(20)]
        store.commit(Batch(tuple(lines[:7])))
        store.commit(Batch(tuple(lines[7:])))
        assert list(store.iterate()) == lines
        assert list(store.iterate(5)) == lines[5:]
        assert store.entries(3, 9) == tuple(line.entry for line in lines[3:9])
        assert store.known_id(lines[4].entry.message_id)
        assert not store.known_id(logged(99).entry.message_id)

    def test_reading_in_pages_loses_nothing(self, open_store: OpenStore) -> None:
        store = open_store()
        lines = tuple(logged(n) for n in range(1_203))
        store.commit(Batch(lines))
        assert tuple(store.iterate()) == lines
        found = store.messages([line.entry.message_id for line in lines] + [bytes(32)])
        assert found == {line.entry.message_id: line.data for line in lines}

    def test_the_admission_chain_is_that_of_the_protocol(self, open_store: OpenStore) -> None:
        store = open_store()
        entries = [logged(n).entry for n in range(6)]
        for number in range(0, 6, 2):
            store.commit(Batch((logged(number), logged(number + 1))))
        assert store.admission_head() == LogHead(6, admission_chain(entries))
        for length in range(7):
            assert store.admission_hash(length) == admission_chain(entries[:length])

    def test_the_operator_chain_is_that_of_the_protocol(self, open_store: OpenStore) -> None:
        store = open_store()
        store.append_event(b"a" * 32, b"first")
        store.commit(Batch((logged(1),)))
        store.append_event(b"b" * 32, b"second")
        label = b"cairn operator log"
        assert store.operator_head() == LogHead(2, chain(label, [b"first", b"second"]))
        assert store.operator_hash(1) == chain(label, [b"first"])
        assert store.operator_hash(0) == chain(label, [])
        assert store.events(0, 9) == (b"first", b"second")
        assert store.events(1, 2) == (b"second",)

    def test_an_id_is_stored_once_and_the_whole_batch_is_refused(
        self, open_store: OpenStore
    ) -> None:
        store = open_store()
        store.commit(Batch((logged(1),)))
        before = store.admission_head()
        refused = Refused(Verdict.BAD_SIGNATURE, 5, b"", b"x")
        with pytest.raises(ValueError, match="stored already"):
            store.commit(Batch((logged(2), logged(1)), (Centre(7, 1, 2),), (refused,)))
        assert store.admission_head() == before
        assert not store.known_id(logged(2).entry.message_id)
        assert store.centre(7) is None
        assert store.refused_counts() == {}
        store.commit(Batch((logged(2),)))
        assert store.admission_head().length == 2

    def test_an_event_is_stored_once(self, open_store: OpenStore) -> None:
        store = open_store()
        store.append_event(b"a" * 32, b"first")
        with pytest.raises(ValueError, match="stored already"):
            store.append_event(b"a" * 32, b"first")
        assert store.operator_head().length == 1

    def test_reopening_changes_nothing(self, open_store: OpenStore) -> None:
        store = open_store()
        store.commit(Batch((logged(1), logged(2)), (Centre(8, -5, 6),)))
        store.append_event(b"a" * 32, b"first")
        store.store_epoch(CLOSED)
        heads = store.admission_head(), store.operator_head()
        store.close()
        again = open_store()
        assert (again.admission_head(), again.operator_head()) == heads
        assert list(again.iterate()) == [logged(1), logged(2)]
        assert again.centre(8) == Centre(8, -5, 6)
        assert again.epoch(CLOSED.epoch) == CLOSED
        again.commit(Batch((logged(3),)))
        entries = [logged(n).entry for n in (1, 2, 3)]
        assert again.admission_head() == LogHead(3, admission_chain(entries))

    def test_a_centre_is_fixed_by_the_first_hello_that_names_the_cell(
        self, open_store: OpenStore
    ) -> None:
        store = open_store()
        cell = 0x8928308280FFFFF
        store.commit(Batch((logged(1), logged(2)), (Centre(cell, 37_000_000, -122_000_000),)))
        store.commit(Batch((logged(3),), (Centre(cell, 1, 1), Centre(5, 2, 3))))
        assert store.centre(cell) == Centre(cell, 37_000_000, -122_000_000)
        assert store.centres(0, 2) == (Centre(cell, 37_000_000, -122_000_000),)
        assert store.centres(2, 3) == (Centre(5, 2, 3),)
        assert store.centres(3, 9) == ()

    def test_refusals_are_counted_and_the_newest_are_kept(self, open_store: OpenStore) -> None:
        store = open_store()
        for number in range(SAMPLES_MAX + 4):
            one = Refused(Verdict.BAD_SIGNATURE, number, b"d" * 16, bytes([number]))
            store.commit(Batch(refused=(one,)))
        store.commit(Batch(refused=(Refused(Verdict.TRUNCATED, 1, b"", b""),)))
        total = SAMPLES_MAX + 4
        assert store.refused_counts() == {Verdict.BAD_SIGNATURE: total, Verdict.TRUNCATED: 1}
        samples = store.refused_samples(Verdict.BAD_SIGNATURE)
        assert [one.recv_ms for one in samples] == [total - 1, total - 2, total - 3]
        assert samples[0].device == b"d" * 16
        assert store.admission_head().length == 0

    def test_one_sample_may_stand_for_many_refusals(self, open_store: OpenStore) -> None:
        store = open_store()
        many = Refused(Verdict.BAD_SIGNATURE, 1, b"", b"first", stands_for=10_000)
        others = [Refused(Verdict.BAD_SIGNATURE, n, b"", b"") for n in range(2, SAMPLES_MAX + 1)]
        store.commit(Batch(refused=(many, *others)))
        assert store.refused_counts() == {Verdict.BAD_SIGNATURE: 10_000 + SAMPLES_MAX - 1}
        samples = store.refused_samples(Verdict.BAD_SIGNATURE)
        assert [one.recv_ms for one in samples] == list(range(SAMPLES_MAX, 0, -1))

    def test_a_login_counter_only_rises(self, open_store: OpenStore) -> None:
        store = open_store()
        one, other = b"a" * 16, b"b" * 16
        assert store.login_counters([one, other]) == {}
        assert store.record_logins([(one, 5), (other, 1)]) == (True, True)
        assert store.record_logins([(one, 5), (one, 4), (one, 6), (one, 6)]) == (
            False,
            False,
            True,
            False,
        )
        assert store.record_logins([]) == ()
        largest = (1 << 53) - 1
        assert store.record_logins([(other, largest)]) == (True,)
        store.close()
        again = open_store()
        assert again.login_counters([one, other, b"c" * 16]) == {one: 6, other: largest}
        assert again.record_logins([(one, 6)]) == (False,)

    def test_of_two_processes_only_one_raises_a_counter(self, open_store: OpenStore) -> None:
        first, second = open_store(), open_store()
        assert first.record_logins([(b"a" * 16, 7)]) == (True,)
        assert second.record_logins([(b"a" * 16, 7)]) == (False,)

    def test_an_entropy_commit_is_made_once(self, open_store: OpenStore) -> None:
        store = open_store()
        assert store.entropy.commits(0, 1 << 40) == {}
        store.entropy.add_commit(7, b"seventh")
        store.entropy.add_commit(6, b"sixth")
        for data in (b"seventh", b"another"):
            with pytest.raises(ValueError, match="already"):
                store.entropy.add_commit(7, data)
        store.close()
        again = open_store()
        assert again.entropy.commits(6, 8) == {6: b"sixth", 7: b"seventh"}
        assert again.entropy.commits(7, 8) == {7: b"seventh"}
        assert again.entropy.commits(0, 6) == {}

    def test_entropy_links_only_go_forward(self, open_store: OpenStore) -> None:
        store = open_store()
        assert store.entropy.newest() is None
        first = StoredLink(10, b"c" * 32, b"")
        second = StoredLink(12, b"d" * 32, b"mixed in")
        store.entropy.add_link(first)
        store.entropy.add_link(second)
        for slot in (9, 10, 11, 12):
            with pytest.raises(ValueError, match="published"):
                store.entropy.add_link(replace(second, slot=slot, chain=b"e" * 32))
        store.close()
        again = open_store()
        assert again.entropy.newest() == second
        assert again.entropy.links(10, 13) == (first, second)
        assert again.entropy.links(11, 12) == ()

    def test_of_two_processes_only_one_tells_a_slot(self, open_store: OpenStore) -> None:
        first, second = open_store(), open_store()
        first.entropy.add_link(StoredLink(10, b"c" * 32, b""))
        with pytest.raises(ValueError, match="published"):
            second.entropy.add_link(StoredLink(10, b"c" * 32, b"other"))

    def test_an_epoch_may_have_no_coverage(self, open_store: OpenStore) -> None:
        store = open_store()
        store.store_epoch(replace(CLOSED, coverage=b""))
        assert store.epoch(CLOSED.epoch) == replace(CLOSED, coverage=b"")

    def test_a_settled_epoch_is_never_rewritten(self, open_store: OpenStore) -> None:
        store = open_store()
        store.store_epoch(CLOSED)
        store.store_epoch(CLOSED)
        with pytest.raises(ValueError, match="settled"):
            store.store_epoch(replace(CLOSED, manifest=b"another"))
        assert store.epoch(CLOSED.epoch) == CLOSED
        assert store.epoch(CLOSED.epoch + 1) is None
        store.store_epoch(replace(CLOSED, epoch=CLOSED.epoch + 1))
        assert store.epoch_numbers() == (CLOSED.epoch, CLOSED.epoch + 1)

    def test_a_second_writer_is_found_out_before_it_forks_the_chain(
        self, open_store: OpenStore
    ) -> None:
        first, second = open_store(), open_store()
        first.commit(Batch((logged(1),)))
        with pytest.raises(OperatorFault) as caught:
            second.commit(Batch((logged(2),)))
        assert caught.value.code == Code.STORE_BUSY
        assert list(first.iterate()) == [logged(1)]
