"""The gateway over a real store: admission, receipts, crashes, epochs, operator events."""

import random
import sqlite3
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cbor2
import pytest
from nacl.signing import SigningKey

from gateway.core.admission import Arrival
from gateway.core.audit import audit_bundle
from gateway.core.bundle import read_bundle
from gateway.core.cose import Role, open_envelope
from gateway.core.downlink import Downlink
from gateway.core.genesis import DAY_MS
from gateway.core.model import Kind
from gateway.core.operator import OperatorKind
from gateway.core.registry import Policy
from gateway.core.statements import open_statement, statement_payload
from gateway.core.verdicts import Verdict
from gateway.core.verify import signature_valid
from gateway.shell.bundle_export import export_bundle
from gateway.shell.bundle_file import decompress
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import DATABASE, NetworkKeys, load_keys, sign_with
from gateway.shell.service import Gateway
from gateway.shell.store.base import Batch
from gateway.shell.store.sqlite import SqliteStore
from tests.service.gateway_rig import (
    DUE,
    EPOCH,
    OWNER,
    START,
    body_of,
    day_of,
    network,
    open_gateway,
    run_day,
    send,
)
from tests.service.signing_station import INTERVAL_MS, SigningStation

# ---- admission and receipts


def test_verdicts_come_in_the_order_of_the_arrivals(keys: NetworkKeys, gateway: Gateway):
    station, stranger = (SigningStation(n, keys.network_id) for n in (1, 2))
    hello, reading = station.hello(START), station.reading(START, 5)
    damaged = reading[:-1] + bytes([reading[-1] ^ 1])
    unknown = stranger.reading(START, 5)
    assert send(gateway, unknown, hello, damaged, reading, hello, b"") == [
        Verdict.UNREGISTERED,
        Verdict.OK,
        Verdict.BAD_SIGNATURE,
        Verdict.OK,
        Verdict.DUPLICATE,
        Verdict.TRUNCATED,
    ]
    assert [logged.data for logged in gateway.store.iterate()] == [hello, reading]
    assert gateway.store.refused_counts() == {
        Verdict.DUPLICATE: 1,
        Verdict.UNREGISTERED: 1,
        Verdict.TRUNCATED: 1,
        Verdict.BAD_SIGNATURE: 1,
    }


def test_a_receipt_says_what_is_stored_and_is_signed(keys: NetworkKeys, gateway: Gateway):
    station = SigningStation(1, keys.network_id)
    messages = [station.hello(START), *(station.reading(START + n, n) for n in range(4))]
    send(gateway, messages[0], messages[1], messages[3], now_ms=START + 5)
    (receipt,) = gateway.take_downlinks()
    assert receipt[:2] == (station.device, "receipt")
    up_to, _, ranges, refused, gateway_ms = body_of(keys, receipt)
    assert (up_to, ranges, refused, gateway_ms) == (2, [[4, 4]], [], START + 5)
    assert gateway.take_downlinks() == []


def test_receipts_of_one_device_are_coalesced(keys: NetworkKeys, gateway: Gateway):
    station = SigningStation(1, keys.network_id)
    for data in [station.hello(START), station.reading(START, 1), station.reading(START, 2)]:
        send(gateway, data)
    (receipt,) = gateway.take_downlinks()
    assert body_of(keys, receipt)[0] == 3


def test_a_duplicate_is_receipted_again(keys: NetworkKeys, gateway: Gateway):
    hello = SigningStation(1, keys.network_id).hello(START)
    send(gateway, hello)
    gateway.take_downlinks()
    assert send(gateway, hello) == [Verdict.DUPLICATE]
    assert len(gateway.take_downlinks()) == 1


def test_more_messages_than_one_batch(keys: NetworkKeys, gateway: Gateway):
    station = SigningStation(1, keys.network_id)
    messages = [station.hello(START), *(station.reading(START + n, n) for n in range(150))]
    assert send(gateway, *messages, now_ms=START + 200) == [Verdict.OK] * 151
    assert [logged.data for logged in gateway.store.iterate()] == messages


def test_approved_policy_waits_for_the_operator(keys: NetworkKeys):
    gateway = open_gateway(keys, Policy.APPROVED)
    station = SigningStation(1, keys.network_id)
    hello = station.hello(START)
    assert send(gateway, hello) == [Verdict.WAITING_APPROVAL]
    gateway.operate(OperatorKind.APPROVE, [station.device], START)
    assert send(gateway, hello) == [Verdict.OK]
    gateway.close()


def test_one_arrival_given_twice_is_judged_twice_in_order(keys: NetworkKeys, gateway: Gateway):
    arrival = Arrival(None, SigningStation(1, keys.network_id).hello(START))
    judged = gateway.deliver([arrival] * 2, START)
    assert [one.verdict for one in judged] == [Verdict.OK, Verdict.DUPLICATE]


def test_of_refused_bytes_no_more_is_kept_than_a_message_has(gateway: Gateway):
    assert send(gateway, b"x" * 100_000) == [Verdict.OVERSIZE]
    gateway.write_refusals()
    (sample,) = gateway.store.refused_samples(Verdict.OVERSIZE)
    assert sample.data == b"x" * 4_096


# ---- crashes


def test_reopening_on_the_same_store_changes_nothing(keys: NetworkKeys):
    station = SigningStation(1, keys.network_id)
    hello, first, second = station.hello(START), *(station.reading(START, n) for n in (1, 2))
    gateway = open_gateway(keys)
    send(gateway, hello, first)
    gateway.close()
    gateway = open_gateway(keys)
    assert send(gateway, first, second) == [Verdict.DUPLICATE, Verdict.OK]
    (receipt,) = gateway.take_downlinks()
    assert body_of(keys, receipt)[0] == 3
    gateway.close()


class FailingStore:
    """A real store whose next commit, or next epoch, fails."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.fails = ""

    def commit(self, batch: Batch) -> None:
        if self.fails == "commit":
            raise OperatorFault("full", "full", "full", Code.STORE_UNWRITABLE)
        self._store.commit(batch)

    def store_epoch(self, closed) -> None:
        if self.fails == "store_epoch":
            raise OperatorFault("full", "full", "full", Code.STORE_UNWRITABLE)
        self._store.store_epoch(closed)

    def __getattr__(self, name: str):
        return getattr(self._store, name)


def test_a_failed_commit_receipts_nothing_and_forgets_what_it_took_in(keys: NetworkKeys):
    store = FailingStore(SqliteStore.create(keys.folder / DATABASE, keys.network_id))
    gateway = Gateway.open(store, keys)
    station = SigningStation(1, keys.network_id)
    hello, reading = station.hello(START), station.reading(START, 1)
    store.fails = "commit"
    with pytest.raises(OperatorFault):
        send(gateway, hello)
    assert gateway.take_downlinks() == []
    store.fails = ""
    assert send(gateway, reading) == [Verdict.UNREGISTERED]
    assert send(gateway, hello, reading) == [Verdict.OK, Verdict.OK]
    gateway.close()


def test_a_crash_between_computing_and_storing_an_epoch_changes_nothing(tmp_path: Path):
    closed = []
    for name in ("smooth", "crashing"):
        keys = network(tmp_path / name)
        store = FailingStore(SqliteStore.create(keys.folder / DATABASE, keys.network_id))
        gateway = Gateway.open(store, keys)
        run_day(gateway, day_of(SigningStation(1, keys.network_id), 3_600_000))
        if name == "crashing":
            store.fails = "store_epoch"
            with pytest.raises(OperatorFault):
                gateway.advance(DUE)
            gateway.close()
            gateway = open_gateway(keys)
        (outcome,) = gateway.advance(DUE + 5_000)
        closed.append(gateway.store.epoch(EPOCH))
        assert outcome.manifest_hash == closed[-1].manifest_hash
        gateway.close()
    assert closed[0] == closed[1]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE messages SET data = x'00' WHERE position = 1",
        "UPDATE admission_log SET recv_ms = recv_ms + 1 WHERE position = 0",
        "DELETE FROM messages WHERE position = 1",
        "UPDATE operator_log SET data = x'00'",
        "UPDATE admission_log SET verdict = 1 WHERE position = 1",
    ],
)
def test_a_tampered_store_is_found_out_at_the_start(keys: NetworkKeys, damage: str):
    gateway = open_gateway(keys)
    station = SigningStation(1, keys.network_id)
    send(gateway, station.hello(START), station.reading(START, 1))
    gateway.operate(OperatorKind.ANCHOR, [station.device, 1], START)
    gateway.close()
    database = sqlite3.connect(keys.folder / DATABASE)
    database.execute(damage)
    database.commit()
    database.close()
    with pytest.raises(OperatorFault) as caught:
        open_gateway(keys)
    assert caught.value.code == Code.STORE_CORRUPT


# ---- epochs


def test_an_epoch_closes_when_it_is_due_and_not_before(keys: NetworkKeys, gateway: Gateway):
    run_day(gateway, day_of(SigningStation(1, keys.network_id)))
    assert gateway.next_close() == (EPOCH, DUE)
    assert gateway.advance(DUE - 1) == []
    (outcome,) = gateway.advance(DUE)
    assert outcome.epoch == EPOCH
    assert outcome.totals.paid > 0
    assert len(outcome.listed) == 290
    assert gateway.advance(DUE) == []
    assert gateway.next_close() == (EPOCH + 1, DUE + DAY_MS)
    assert gateway.store.epoch_numbers() == (EPOCH,)


def test_epochs_that_were_slept_through_close_one_by_one(gateway: Gateway):
    outcomes = gateway.advance(DUE + 3 * DAY_MS)
    assert [outcome.epoch for outcome in outcomes] == list(range(EPOCH, EPOCH + 4))
    for before, after in pairwise(outcomes):
        assert after.totals.carry_before == before.totals.carry_after


def test_a_message_does_not_slip_into_an_epoch_that_is_due(keys: NetworkKeys, gateway: Gateway):
    station = SigningStation(1, keys.network_id)
    send(gateway, station.hello(START), station.claim(START, OWNER))
    late = station.reading(START + 1_000, 5)
    assert send(gateway, late, now_ms=DUE) == [Verdict.OK]
    (outcome,) = gateway.advance(DUE)
    assert outcome.epoch == EPOCH
    assert len(outcome.listed) == 2
    (following,) = gateway.advance(DUE + DAY_MS)
    assert len(following.after_close) == 1


def test_order_and_duplicates_change_no_root(tmp_path: Path):
    seed = random.SystemRandom().randrange(2**32)
    shuffled = random.Random(seed)
    roots = []
    for name in ("straight", "shuffled"):
        keys = network(tmp_path / name)
        gateway = open_gateway(keys)
        stations = [SigningStation(n, keys.network_id) for n in range(3)]
        hellos = [station.hello(START) for station in stations]
        messages = [
            data
            for station in stations
            for data in (
                station.claim(START, OWNER),
                *(station.reading(START + n * INTERVAL_MS, 900 + n) for n in range(30)),
            )
        ]
        send(gateway, *hellos, now_ms=START + 10)
        if name == "shuffled":
            messages += shuffled.sample(messages, 20)
            shuffled.shuffle(messages)
        for start in range(0, len(messages), 17):
            # Within the release time of the first window, so that no reading is late.
            send(gateway, *messages[start : start + 17], now_ms=START + 30 * INTERVAL_MS)
        (outcome,) = gateway.advance(DUE)
        roots.append((outcome.message_root, outcome.payout_root))
        gateway.close()
    assert roots[0] == roots[1], f"seed {seed}"


def test_the_attestation_is_the_gateways_word_for_the_manifest(
    keys: NetworkKeys, gateway: Gateway
):
    gateway.advance(DUE)
    stored = gateway.store.epoch(EPOCH)
    code, text, manifest_hash = body_of(keys, Downlink(b"", "notice", stored.attestation))
    assert (code, text, manifest_hash) == (1, f"epoch {EPOCH}", stored.manifest_hash)


def test_a_key_that_is_no_longer_in_force_attests_nothing(tmp_path: Path):
    keys = network(tmp_path / "data")
    statement = open_statement(keys.statements[0], keys.network_id, keys.genesis.root_key)
    root = bytes.fromhex((keys.folder / "keys" / "root.key").read_text())
    payload = statement_payload(replace(statement, not_after_ms=DUE + DAY_MS))
    data, _ = sign_with(SigningKey(root), keys.network_id, Role.ROOT, payload)
    keys = replace(keys, statements=(data, keys.statements[1]))
    gateway = open_gateway(keys)
    gateway.advance(DUE + DAY_MS)
    for epoch in (EPOCH, EPOCH + 1):
        stored = gateway.store.epoch(epoch)
        assert bool(stored.attestation) is (epoch == EPOCH)
        export_bundle(gateway.store, keys, stored, path := tmp_path / "bundle")
        assert audit_bundle(read_bundle(path.read_bytes(), decompress)).ok
    gateway.close()


# ---- the rest


def test_the_time_answer_can_be_checked_from_the_root_key(keys: NetworkKeys, gateway: Gateway):
    statement, message = cbor2.loads(gateway.answer_time(b"n" * 16, START + 7))
    stated = open_statement(statement, keys.network_id, keys.genesis.root_key)
    assert stated.role is Role.GATEWAY
    envelope = open_envelope(message, keys.network_id, Role.GATEWAY)
    assert signature_valid(stated.public_key, envelope.signature, envelope.to_be_signed)
    payload = cbor2.loads(envelope.payload)
    assert payload == [16, Kind.TIME, b"", 1, START + 7, [b"n" * 16]]


def test_the_same_calls_give_the_same_bytes(tmp_path: Path):
    results = []
    for name in ("one", "other"):
        keys = network(tmp_path / name)
        gateway = open_gateway(keys)
        run_day(gateway, day_of(SigningStation(1, keys.network_id), 3_600_000))
        downlinks = gateway.take_downlinks()
        gateway.advance(DUE)
        results.append((downlinks, gateway.store.epoch(EPOCH), gateway.store.admission_head()))
        gateway.close()
    assert results[0] == results[1]


def test_a_gateway_key_without_its_statement_stops_the_gateway(keys: NetworkKeys):
    swapped = keys.statements[::-1]
    for wrong in (
        replace(keys, gateway=keys.operator),
        replace(keys, statements=swapped),
        replace(keys, statements=()),
    ):
        with pytest.raises(OperatorFault) as caught:
            open_gateway(wrong)
        assert caught.value.code == Code.NETWORK_DAMAGED


def test_a_statement_that_the_root_did_not_sign_stops_the_gateway(keys: NetworkKeys):
    bad = keys.statements[0][:-1] + bytes([keys.statements[0][-1] ^ 1])
    with pytest.raises(OperatorFault) as caught:
        open_gateway(replace(load_keys(keys.folder), statements=(bad, keys.statements[1])))
    assert caught.value.code == Code.NETWORK_DAMAGED
