import contextlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canonical import MalformedError
from gateway.core.cbor_profile import encode
from gateway.core.cose import Role, sign1
from gateway.core.coverage.entropy import (
    EntropyDay,
    chain_end,
    chain_value,
    decode_entropy,
    encode_entropy,
    open_entropy,
    open_entropy_commit,
    slot_entropy,
)
from gateway.core.statements import KeyStatement
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import Key

DAY = 20_000
FIRST = DAY * 1440
START_MS = DAY * 86_400_000
NETWORK = b"network!"
GATEWAY = Key("entropy gateway")
STATEMENTS = (KeyStatement(Role.GATEWAY, GATEWAY.public_key, 1, 0, 2**50),)
# The value of the day's last slot; all others follow from it.
LAST = sha256(b"last").digest()
END = chain_end(LAST, 1440)


def commit(time_ms=START_MS - 1, *, end=END, first=FIRST, slots=1440, key=GATEWAY, **header):
    fields = {"version": 16, "kind": 19, "to": b"", "serial": 1} | header
    payload = encode([*fields.values(), time_ms, [end, first, slots]])
    return sign1(key.sign, key.kid, NETWORK, Role.GATEWAY, payload)[0]


def day(last_slot=FIRST + 1439, *, commits=None, externals=()):
    return EntropyDay(
        tuple(commits or [commit()]),
        last_slot,
        chain_value(LAST, FIRST + 1439, last_slot),
        tuple(externals),
    )


def opened(one, voids=(), statements=STATEMENTS, epoch=DAY):
    return open_entropy(encode_entropy(one), epoch, NETWORK, statements, voids)


def test_hashing_a_slot_s_value_gives_the_value_of_the_slot_before():
    assert chain_value(LAST, 100, 100) == LAST
    assert chain_value(LAST, 100, 98) == sha256(sha256(LAST).digest()).digest()
    assert sha256(chain_value(LAST, FIRST + 1439, FIRST)).digest() == END


def test_a_later_slot_s_value_cannot_be_computed():
    with pytest.raises(ValueError, match="nobody can compute"):
        chain_value(LAST, 100, 101)


def test_a_day_without_entropy_is_empty():
    assert encode_entropy(None) == b""
    assert open_entropy(b"", DAY, NETWORK, STATEMENTS, ()) == {}


def test_every_slot_of_a_full_day_has_the_entropy_of_its_own_link():
    entropy = opened(day())
    assert list(entropy) == list(range(FIRST, FIRST + 1440))
    slot = FIRST + 700
    chain = chain_value(LAST, FIRST + 1439, slot)
    assert entropy[slot] == sha256(chain).digest() == slot_entropy(chain, b"")
    assert len(set(entropy.values())) == 1440


def test_what_was_mixed_in_changes_its_slot_alone():
    plain, mixed = opened(day()), opened(day(externals=[(FIRST + 3, b"drand")]))
    assert {slot for slot in plain if plain[slot] != mixed[slot]} == {FIRST + 3}
    chain = chain_value(LAST, FIRST + 1439, FIRST + 3)
    assert mixed[FIRST + 3] == sha256(chain + b"drand").digest()


def test_slots_behind_the_last_published_one_do_not_count():
    assert list(opened(day(FIRST + 9))) == list(range(FIRST, FIRST + 10))


@pytest.mark.parametrize(
    "time_ms, first",
    [(START_MS, 0), (START_MS + 1, 1), (START_MS + 60_000, 1), (START_MS + 60_001, 2)],
)
def test_a_slot_counts_only_if_it_starts_no_earlier_than_the_commit(time_ms, first):
    assert min(opened(day(commits=[commit(time_ms)]))) == FIRST + first


def test_of_the_same_commit_signed_anew_the_earliest_time_counts():
    again = sorted([commit(START_MS - 5), commit(START_MS + 3_600_000)])
    assert len(opened(day(commits=again))) == 1440


def test_void_slots_do_not_count_and_a_void_range_may_be_huge():
    entropy = opened(day(), voids=[(0, FIRST + 4), (FIRST + 7, FIRST + 7), (FIRST + 1439, 2**53)])
    left_out = {*range(FIRST, FIRST + 5), FIRST + 7, FIRST + 1439}
    assert set(entropy) == set(range(FIRST, FIRST + 1440)) - left_out


def test_two_commits_to_different_chains_are_refused():
    two = sorted([commit(), commit(end=chain_end(LAST, 1441))])
    with pytest.raises(MalformedError, match="two different chains"):
        opened(day(commits=two))


def test_a_chain_that_does_not_end_where_it_was_committed_to_is_refused():
    with pytest.raises(MalformedError, match="does not end"):
        opened(day()._replace(chain=sha256(b"other").digest()))
    with pytest.raises(MalformedError, match="does not end"):
        opened(day()._replace(last_slot=FIRST + 1438))


@pytest.mark.parametrize(
    "bad",
    [
        commit(first=FIRST - 1440),
        commit(slots=1439),
        commit(kind=21),
        commit(to=bytes(16)),
        commit(version=17),
        commit(end=END[:31]),
        commit(2**53),
        commit(key=Key("nobody")),
        commit()[:-1] + bytes([commit()[-1] ^ 1]),
        b"",
        b"\x80",
    ],
)
def test_a_commit_that_is_not_this_day_s_or_not_signed_is_refused(bad):
    with pytest.raises(MalformedError):
        opened(day(commits=[bad]))


def test_a_commit_counts_under_a_statement_that_is_in_force_at_its_time():
    def until(end_ms):
        return (KeyStatement(Role.GATEWAY, GATEWAY.public_key, 1, 0, end_ms),)

    assert len(opened(day(), statements=until(START_MS))) == 1440
    with pytest.raises(MalformedError, match="key_not_in_force"):
        opened(day(), statements=until(START_MS - 1))
    operator = (KeyStatement(Role.OPERATOR, GATEWAY.public_key, 1, 0, 2**50),)
    assert open_entropy_commit(commit(), NETWORK, operator) is Verdict.KEY_NOT_IN_FORCE


@pytest.mark.parametrize("last_slot", [FIRST - 1, FIRST + 1440])
def test_a_day_of_another_epoch_is_refused_before_it_is_hashed(last_slot):
    with pytest.raises(MalformedError, match="is not of day"):
        opened(day()._replace(last_slot=last_slot))


@pytest.mark.parametrize(
    "externals",
    [
        [(FIRST - 1, b"x")],
        [(FIRST + 6, b"x")],
        [(FIRST, b"")],
        [(FIRST, bytes(65))],
        [(FIRST + 1, b"x"), (FIRST, b"x")],
        [(FIRST, b"x"), (FIRST, b"x")],
    ],
)
def test_externals_have_a_link_are_short_and_ascend(externals):
    with pytest.raises(MalformedError):
        opened(day(FIRST + 5, externals=externals))


def test_an_external_of_64_bytes_at_the_last_link_is_taken():
    assert len(opened(day(FIRST + 5, externals=[(FIRST + 5, bytes(64))]))) == 6


def test_commits_must_be_there_ascend_and_be_few():
    for commits in ((), tuple(sorted([commit(1), commit(2)], reverse=True)), (commit(), commit())):
        with pytest.raises(MalformedError):
            opened(day()._replace(commits=commits))
    many = tuple(sorted(k.to_bytes(2, "big") for k in range(1441)))
    with pytest.raises(MalformedError, match="too many"):
        opened(day()._replace(commits=many))


WHOLE = encode_entropy(day(FIRST + 9, externals=[(FIRST, b"a"), (FIRST + 9, b"b")]))


def test_the_encoding_is_read_back():
    assert encode_entropy(decode_entropy(WHOLE)) == WHOLE


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.integers(0, 3))
def test_changed_bytes_are_refused_or_are_another_document(position, change, cut):
    data = bytearray(WHOLE)
    data[position] ^= change
    try:
        entropy = open_entropy(bytes(data[: len(data) - cut]), DAY, NETWORK, STATEMENTS, ())
    except MalformedError:
        return
    # Only what was mixed in is not covered by the chain or a signature.
    assert cut == 0
    assert len(entropy) == 10


@given(st.binary(max_size=200))
def test_any_bytes_are_opened_or_malformed(data):
    with contextlib.suppress(MalformedError):
        assert open_entropy(data, DAY, NETWORK, STATEMENTS, ()) == {}
