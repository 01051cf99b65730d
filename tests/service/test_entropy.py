"""The entropy chain in operation: told once, kept, and never told otherwise after a restart."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.cose import Role
from gateway.core.coverage.entropy import open_entropy
from gateway.core.genesis import DAY_MS, SLOT_MS
from gateway.core.operator import NO_PREVIOUS, OperatorKind, operator_payload
from gateway.shell.entropy import EntropyCounts, entropy_of_day
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import NetworkKeys, create_network, sign_with
from gateway.shell.opening import open_statements
from gateway.shell.service import Gateway
from tests.service.entropy_rig import (
    DAY,
    LATE_MS,
    SLOT,
    Died,
    dying_gateway,
    end_of,
    hashed,
    link_of,
    store_of,
    tails,
    voids,
)
from tests.service.gateway_rig import EPOCH, START, open_gateway

BOTH = [f"entropy-commit/{EPOCH % 2}", f"entropy-commit/{(EPOCH + 1) % 2}"]


def at(slot: int) -> int:
    """The start of the slot so many behind the first."""
    return START + slot * SLOT_MS


def published(keys: NetworkKeys, day: int = EPOCH) -> dict[int, bytes]:
    """The entropy of the slots of a day, as an audit would open it."""
    store = store_of(keys)
    encoded = entropy_of_day(store.entropy, keys, day)
    ranges = [one for event in voids(keys) for one in event]
    statements = tuple(open_statements(keys))
    store.close()
    return open_entropy(encoded, day, keys.network_id, statements, ranges)


# ---- what is told


def test_commits_and_links_are_those_of_one_chain(gateway: Gateway, keys: NetworkKeys):
    first = gateway.entropy_downlinks(START)
    assert tails(first) == [*BOTH, "entropy"]
    end, first_slot, slots = end_of(keys, first[0])
    assert (first_slot, slots) == (SLOT, DAY)
    assert end_of(keys, first[1])[1:] == (SLOT + DAY, DAY)
    slot, chain, external = link_of(first)
    assert (slot, external) == (SLOT, b"")
    assert hashed(chain, 1) == end
    later = gateway.entropy_downlinks(at(700), b"mixed in")
    assert tails(later) == ["entropy"]
    slot, other, external = link_of(later)
    assert (slot, external) == (SLOT + 700, b"mixed in")
    assert hashed(other, 700) == chain


def test_a_slot_is_told_once(gateway: Gateway):
    assert gateway.entropy_downlinks(at(1))
    assert gateway.entropy_downlinks(at(1) + 5) == []
    assert gateway.entropy_downlinks(at(1) + LATE_MS) == []


def test_midnight_brings_one_commit_and_goes_on_in_its_chain(gateway: Gateway, keys: NetworkKeys):
    tomorrow = gateway.entropy_downlinks(at(DAY - 1))[1]
    told = gateway.entropy_downlinks(at(DAY))
    assert tails(told) == [BOTH[0], "entropy"]
    assert end_of(keys, told[0])[1] == SLOT + 2 * DAY
    assert hashed(link_of(told)[1], 1) == end_of(keys, tomorrow)[0]


def test_a_slot_that_had_begun_before_its_commit_is_left_out(gateway: Gateway, keys: NetworkKeys):
    assert tails(gateway.entropy_downlinks(at(5) + 1)) == BOTH
    assert link_of(gateway.entropy_downlinks(at(6))) is not None
    assert voids(keys) == []
    assert published(keys).keys() == {SLOT + 6}


@pytest.mark.parametrize("late_ms, told", [(LATE_MS, True), (LATE_MS + 1, False)])
def test_a_link_is_told_until_it_is_late(gateway: Gateway, keys, late_ms, told):
    gateway.entropy_downlinks(at(0))
    assert (link_of(gateway.entropy_downlinks(at(1) + late_ms)) is not None) == told
    assert link_of(gateway.entropy_downlinks(at(2))) is not None
    assert voids(keys) == ([] if told else [((SLOT + 1, SLOT + 1),)])
    assert gateway.entropy_counts == EntropyCounts(2 + told, 1 - told, SLOT + 2)


def test_a_seed_gives_the_same_entropy_and_no_seed_another(tmp_path: Path):
    def first_of(name: str, seed: int | None) -> bytes:
        keys = create_network(
            tmp_path / name, "test", simulated=True, epoch_zero_ms=START, seed=seed
        )
        gateway = open_gateway(keys)
        _, chain, _ = link_of(gateway.entropy_downlinks(START))
        gateway.close()
        return chain

    assert first_of("a", 1) == first_of("b", 1)
    assert len({first_of("c", 1), first_of("d", 2), first_of("e", None), first_of("f", None)}) == 4


# ---- restarts


def test_a_restart_tells_the_same_bytes_again(gateway: Gateway, keys: NetworkKeys):
    first = gateway.entropy_downlinks(at(3), b"first")
    again = open_gateway(keys)
    assert again.entropy_downlinks(at(3) + 9_000, b"second") == first
    again.close()
    late = open_gateway(keys)
    assert late.entropy_downlinks(at(3) + LATE_MS + 1) == first[:2]
    late.close()
    assert voids(keys) == []


def test_two_commits_never_differ(gateway: Gateway, keys: NetworkKeys):
    tomorrow = gateway.entropy_downlinks(at(0))[1]
    # At another time, and for a day that has become today.
    again = open_gateway(keys)
    assert again.entropy_downlinks(at(DAY + 7))[0] == tomorrow
    again.close()


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("writes", range(1, 6))
def test_a_death_at_any_write_leaves_the_same_link_or_a_void(keys: NetworkKeys, writes, before):
    """Writes: two commits, a link; then the void of a gap, and the link behind it."""
    told: dict[int, set[bytes]] = {}

    def tell(gateway: Gateway, slot: int, external: bytes) -> None:
        for one in gateway.entropy_downlinks(at(slot), external):
            if one.tail == "entropy":
                told.setdefault(slot, set()).add(one.data)
            else:
                told.setdefault(one.tail, set()).add(one.data)

    dying = dying_gateway(keys, writes, before=before)
    died = None
    for slot in (0, 4):
        try:
            tell(dying, slot, b"x")
        except Died:
            died = slot
            break
    assert died == (0 if writes <= 3 else 4)
    again = open_gateway(keys)
    for slot in (died, died + 1, 9):
        tell(again, slot, b"y")
    again.close()
    assert all(len(said) == 1 for said in told.values()), "something was told in two ways"
    counts = published(keys)
    left_out = {
        slot for event in voids(keys) for low, high in event for slot in range(low, high + 1)
    }
    assert counts.keys() | left_out == set(range(SLOT, SLOT + 10))
    assert not counts.keys() & left_out
    assert counts.keys() >= {SLOT + slot for slot in told if isinstance(slot, int)}


# ---- what was missed


def test_downtime_is_void_before_the_chain_goes_on(gateway: Gateway, keys: NetworkKeys):
    gateway.entropy_downlinks(at(2))
    before, after = published(keys), 60
    again = open_gateway(keys)
    assert link_of(again.entropy_downlinks(at(after))) is not None
    again.close()
    assert voids(keys) == [((SLOT + 3, SLOT + after - 1),)]
    assert published(keys).keys() == before.keys() | {SLOT + after}


def test_a_late_start_takes_the_present_slot_into_the_same_event(gateway, keys: NetworkKeys):
    gateway.entropy_downlinks(at(2))
    again = open_gateway(keys)
    assert link_of(again.entropy_downlinks(at(8) + LATE_MS + 1)) is None
    assert link_of(again.entropy_downlinks(at(9))) is not None
    again.close()
    assert voids(keys) == [((SLOT + 3, SLOT + 8),)]


def test_a_gap_over_days_is_void_in_the_days_that_had_a_commit(gateway, keys: NetworkKeys):
    gateway.entropy_downlinks(at(10))
    told = gateway.entropy_downlinks(at(4 * DAY + 3))
    assert len(told) == 3
    assert voids(keys) == [((SLOT + 11, SLOT + 2 * DAY - 1),)]
    assert published(keys, EPOCH).keys() == {SLOT + 10}
    assert published(keys, EPOCH + 1) == {}
    assert published(keys, EPOCH + 4).keys() == {SLOT + 4 * DAY + 3}


def test_what_the_operator_declared_void_is_neither_told_nor_declared_again(gateway, keys):
    gateway.entropy_downlinks(at(0))
    gateway.operate(OperatorKind.VOID_SLOT, [[SLOT + 2, SLOT + 3], [SLOT + 5, SLOT + 5]], at(1))
    assert gateway.entropy_downlinks(at(5)) == []
    gateway.entropy_downlinks(at(7))
    assert voids(keys)[1] == ((SLOT + 1, SLOT + 1), (SLOT + 4, SLOT + 4), (SLOT + 6, SLOT + 6))


def test_an_event_from_a_clock_ahead_does_not_keep_voids_out(gateway, keys: NetworkKeys):
    gateway.entropy_downlinks(at(0))
    gateway.append_operator_event(_anchor_event(keys, at(3) + 1), at(3) + 1)
    assert link_of(gateway.entropy_downlinks(at(3))) is not None
    assert voids(keys) == [((SLOT + 1, SLOT + 2),)]


def test_voids_that_the_log_refuses_stop_the_chain(gateway, keys: NetworkKeys, monkeypatch):
    def refuse(*_: object) -> None:
        raise OperatorFault("", "the key is not in force", "", Code.EVENT_REFUSED)

    gateway.entropy_downlinks(at(0))
    with monkeypatch.context() as patched:
        patched.setattr(gateway, "_operate", refuse)
        assert gateway.entropy_downlinks(at(3)) == []
    assert link_of(gateway.entropy_downlinks(at(4))) is not None
    assert voids(keys) == [((SLOT + 1, SLOT + 3),)]


def test_a_clock_that_is_set_back_tells_nothing(gateway: Gateway, keys: NetworkKeys):
    gateway.entropy_downlinks(at(9))
    assert link_of(gateway.entropy_downlinks(at(8))) is None
    again = open_gateway(keys)
    assert link_of(again.entropy_downlinks(at(8))) is None
    again.close()
    assert voids(keys) == []


# ---- what cannot be told


def test_without_a_key_in_force_nothing_is_promised(gateway: Gateway):
    assert gateway.entropy_downlinks(START + 800 * DAY_MS) == []


def test_a_lost_secret_costs_two_days_and_no_epoch(gateway: Gateway, keys: NetworkKeys):
    first = gateway.entropy_downlinks(at(0))
    (keys.folder / "keys" / "entropy.secret").unlink()
    again = open_gateway(keys)
    assert again.entropy_downlinks(at(1)) == first[:2]
    for slot in (2, 3, DAY + 5):
        assert link_of(again.entropy_downlinks(at(slot))) is None
    assert link_of(again.entropy_downlinks(at(2 * DAY))) is not None
    again.close()
    assert published(keys).keys() == {SLOT}
    assert published(keys, EPOCH + 2).keys() == {SLOT + 2 * DAY}
    assert len(voids(keys)) == 1


def test_a_damaged_secret_is_named(gateway: Gateway, keys: NetworkKeys):
    path = keys.folder / "keys" / "entropy.secret"
    path.write_text("not hex\n")
    with pytest.raises(OperatorFault) as caught:
        gateway.entropy_downlinks(START)
    assert caught.value.code == Code.KEYS_DAMAGED
    assert "not hex" not in str(caught.value)


def test_entropy_that_does_not_hold_keeps_no_epoch_open(gateway: Gateway, keys: NetworkKeys):
    """A chain value of the store that was changed: then the day has no entropy."""
    gateway.entropy_downlinks(at(0))
    store = store_of(keys)
    newest = store.entropy.newest()
    store.entropy.add_link(replace(newest, slot=newest.slot + 1))
    assert entropy_of_day(store.entropy, keys, EPOCH) == b""
    store.close()


def _anchor_event(keys: NetworkKeys, time_ms: int) -> bytes:
    payload = operator_payload(OperatorKind.ANCHOR, 1, NO_PREVIOUS, time_ms, [bytes(16), 1])
    return sign_with(keys.operator, keys.network_id, Role.OPERATOR, payload)[0]
