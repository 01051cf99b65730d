"""The ledger tells messages that were given up from signatures that never left the board."""

import cbor2

from simulator.ledger import Counts, Ledger, Stored

DEVICE = bytes(16)


def signed(ledger, *seqs):
    ids = {}
    for seq in seqs:
        payload = cbor2.dumps([16, 1, 1, seq, bytes(16), 0, [0, 0], []])
        ledger.signed(DEVICE, cbor2.dumps(["Signature1", b"", b"", payload]))
        ids[seq] = ledger._accounts[DEVICE].signed[seq]
    return ids


def compared(gaps, held, seqs):
    ledger = Ledger()
    ledger.open_account(DEVICE, "station")
    ids = signed(ledger, *seqs)
    stored = [
        Stored(ids[seq], DEVICE, 7 if seq in gaps else 1, seq, gaps.get(seq)) for seq in held
    ]
    return ledger.compare(stored)


def test_a_message_under_an_unused_gap_was_cut_before_it_was_stored():
    assert compared({4: (3, 3, 0)}, [1, 2, 4], [1, 2, 3, 4]) == (Counts(3, 3, 0, 1), [])


def test_a_message_under_a_drop_was_given_up():
    assert compared({4: (2, 3, 1)}, [1, 4], [1, 2, 3, 4]) == (Counts(4, 2, 2, 0), [])


def test_a_message_under_no_gap_is_lost_and_does_not_balance():
    counts, failures = compared({}, [1, 3], [1, 2, 3])
    assert counts == Counts(3, 2, 0, 0)
    assert [failure.invariant for failure in failures] == ["nothing lost"]


def test_a_cloned_key_is_counted_and_promised_nothing():
    ledger = Ledger()
    ledger.open_account(DEVICE, "station")
    ledger.open_account(DEVICE, "its clone")
    first, second = signed(ledger, 1, 2), signed(ledger, 3)
    stored = [Stored(first[1], DEVICE, 1, 1, None), Stored(second[3], DEVICE, 1, 3, None)]
    assert ledger.compare(stored) == (Counts(3, 2, 0, 0), [])
    assert ledger.unreceipted() == []
