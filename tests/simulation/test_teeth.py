"""The harness finds planted bugs: each test breaks the product and expects a named failure."""

import pytest
from cairn.outbox import Outbox

from gateway.core import admission
from gateway.shell.store.sqlite import SqliteStore
from simulator.world import TaskFailed


def invariants(report):
    return {failure.invariant for failure in report.failures}


def test_authentication_switched_off_is_found(monkeypatch, run, village):
    monkeypatch.setattr(admission, "signature_valid", lambda *_: True)
    found = invariants(run(village, 1))
    assert {"damage is refused", "only what was signed"} <= found


def test_receipts_for_what_was_not_committed_are_found(monkeypatch, run, village):
    commit = SqliteStore.commit
    calls = []

    def forgetful(self, batch):
        calls.append(batch)
        if len(calls) % 40:
            commit(self, batch)

    monkeypatch.setattr(SqliteStore, "commit", forgetful)
    assert "receipt means durable" in invariants(run(village, 1))


def test_boards_that_never_send_again_are_found(monkeypatch, run, village):
    monkeypatch.setattr(Outbox, "messages", lambda *_: [])
    found = invariants(run(village, 1))
    assert {"nothing lost", "progress after faults"} & found


def test_boards_that_forget_their_seq_are_found(monkeypatch, run, village):
    # After a restart the chain goes on as if nothing had been reserved or stored.
    monkeypatch.setattr("cairn.chain._stored", lambda _: (0, 1))
    monkeypatch.setattr(Outbox, "_open", lambda _: None)
    report = run(village, 2)
    assert report.board_restarts > 0
    assert "seq signed once" in invariants(report)


def test_a_crash_of_the_code_itself_is_named_by_seed_and_time(monkeypatch, run, village):
    def broken(*_):
        raise KeyError("x")

    monkeypatch.setattr(Outbox, "append", broken)
    with pytest.raises(TaskFailed, match=r"board \d+ boot 1 failed at \d+ ms with seed 9: KeyErr"):
        run(village, 9)


def test_a_gateway_that_forgets_what_it_has_is_stopped(monkeypatch, run, village):
    monkeypatch.setattr(SqliteStore, "known_id", lambda *_: False)
    with pytest.raises(Exception, match=r"UNIQUE|stored") as caught:
        run(village, 1)
    assert any("with seed 1" in note for note in caught.value.__notes__)
