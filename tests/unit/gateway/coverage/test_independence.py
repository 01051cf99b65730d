from itertools import permutations

import pytest

from gateway.core.coverage.independence import (
    best_weights,
    owner_key,
    path_levels,
    weighed,
)
from gateway.core.verdicts import Verdict
from tests.unit.gateway.coverage.coverage_kit import PPM, RULES, link, member

COVERAGE = RULES.coverage
A, B = member("a"), member("b", north_km=1)


def worth(one, *members):
    (found,) = weighed([one], {m.device: m for m in members}, COVERAGE)
    return found.verdict, found.weight_ppm


def test_an_independent_witness_weighs_in_full():
    assert worth(link(A, B), A, B) == (Verdict.HEARD, PPM)


def test_a_witness_of_the_same_owner_weighs_nothing():
    assert worth(link(A, B), A, B._replace(owner=A.owner)) == (Verdict.SAME_OWNER, 0)


def test_stations_without_an_owner_are_not_each_other_s():
    nobody = B._replace(owner=b"")
    assert worth(link(A, B), A._replace(owner=b""), nobody) == (Verdict.HEARD, PPM)
    assert owner_key(nobody) == B.device
    assert owner_key(B) == B.owner


def test_a_witness_behind_the_same_connection_weighs_half():
    shared = B._replace(net_tags=frozenset({b"x" * 8, *A.net_tags}))
    assert worth(link(A, B), A, shared) == (Verdict.SAME_NETWORK, COVERAGE.same_network_ppm)


def test_two_unknown_connections_are_not_the_same():
    none = frozenset()
    one, two = A._replace(net_tags=none), B._replace(net_tags=none)
    assert worth(link(A, B), one, two) == (Verdict.HEARD, PPM)


@pytest.mark.parametrize("changes", [{"mains": False}, {"fine": False}])
def test_a_witness_without_duty_weighs_nothing(changes):
    assert worth(link(A, B), A, B._replace(**changes)) == (Verdict.NO_WITNESS_DUTY, 0)


def test_an_impossible_link_weighs_nothing_and_stays_impossible():
    impossible = link(A, B, verdict=Verdict.BEYOND_FREE_SPACE)
    assert worth(impossible, A, B) == (Verdict.BEYOND_FREE_SPACE, 0)
    unheard = impossible._replace(heard=0)
    assert worth(unheard, A, B) == (Verdict.BEYOND_FREE_SPACE, 0)


def test_a_silent_link_says_so_and_weighs_what_the_witness_is_worth():
    silent = link(A, B, heard=0, silent=9, excess_cdb=0)
    assert worth(silent, A, B) == (Verdict.SILENT, PPM)
    assert worth(silent, A, B._replace(owner=A.owner)) == (Verdict.SILENT, 0)


def test_links_of_strangers_are_dropped():
    assert weighed([link(A, B)], {A.device: A}, COVERAGE) == []
    assert weighed([link(A, B)], {B.device: B}, COVERAGE) == []


def levels_of(members, pairs, excluded=(), rules=COVERAGE):
    """pairs: (beaconer, witness) by label."""
    by_label = {label: member(label, **changes) for label, changes in members.items()}
    by_device = {one.device: one for one in by_label.values()}
    links = weighed([link(by_label[b], by_label[w]) for b, w in pairs], by_device, rules)
    out = frozenset(by_label[label].device for label in excluded)
    levels = path_levels(links, by_device, out, rules)
    labels = {one.device: label for label, one in by_label.items()}
    return {labels[device]: level for device, level in levels.items()}


ANCHOR = {"anchored": True}
CHAIN = {"p": ANCHOR, "q": ANCHOR, "a": {}, "b": {}, "c": {}}
CHAIN_PAIRS = [("a", "p"), ("a", "q"), ("b", "q"), ("b", "a"), ("c", "a"), ("c", "b")]


def test_a_level_is_one_more_than_that_of_the_second_best_witness():
    assert levels_of(CHAIN, CHAIN_PAIRS) == {"p": 0, "q": 0, "a": 1, "b": 2, "c": 3}


def test_levels_do_not_depend_on_the_order_of_links():
    expected = levels_of(CHAIN, CHAIN_PAIRS)
    for pairs in permutations(CHAIN_PAIRS):
        assert levels_of(CHAIN, pairs) == expected


def test_one_witness_with_a_path_is_not_enough():
    pairs = [one for one in CHAIN_PAIRS if one != ("b", "q")]
    assert levels_of(CHAIN, pairs) == {"p": 0, "q": 0, "a": 1}


def test_two_witnesses_of_one_owner_are_one():
    owner = {"owner": b"o" * 20}
    members = {**CHAIN, "a": owner, "b": owner, "d": {}}
    pairs = [*CHAIN_PAIRS[:2], ("b", "p"), ("b", "q"), ("d", "a"), ("d", "b")]
    assert levels_of(members, pairs) == {"p": 0, "q": 0, "a": 1, "b": 1}


def test_two_anchors_of_one_owner_are_two_for_both_were_audited():
    owned = {**ANCHOR, "owner": b"o" * 20}
    assert levels_of({"p": owned, "q": owned, "a": {}}, CHAIN_PAIRS[:2])["a"] == 1


def test_being_a_witness_is_not_being_heard():
    turned = [(witness, beaconer) for beaconer, witness in CHAIN_PAIRS]
    assert levels_of(CHAIN, turned) == {"p": 0, "q": 0}


def test_the_excluded_have_no_level_and_are_nobody_s_witness():
    assert levels_of(CHAIN, CHAIN_PAIRS, excluded="a") == {"p": 0, "q": 0}
    assert levels_of(CHAIN, CHAIN_PAIRS, excluded="p") == {"q": 0}


def test_a_path_ends_after_hops_max():
    labels = [f"s{k}" for k in range(20)]
    members = {"p": ANCHOR, "q": ANCHOR, **{label: {} for label in labels}}
    walk = ["p", "q", *labels]
    pairs = [(walk[k], walk[j]) for k in range(2, len(walk)) for j in (k - 1, k - 2)]
    levels = levels_of(members, pairs)
    # s0 hears both anchors; from s1 on the second best witness is the one before.
    assert [levels[label] for label in labels if label in levels] == list(range(1, 9))


def test_a_ring_without_an_anchor_has_no_path_however_large():
    ring = {f"r{k}": {} for k in range(30)}
    pairs = [(a, b) for a in ring for b in ring if a != b]
    assert levels_of(ring, pairs) == {}
    assert levels_of({**ring, "p": ANCHOR}, [*pairs, ("r0", "p")]) == {"p": 0}


def test_of_an_owner_s_links_the_best_counts_once():
    c = member("c", owner=B.owner)
    by_device = {one.device: one for one in (A, B, c)}
    links = [link(A, B, weight_ppm=500_000), link(A, c, weight_ppm=PPM)]
    for one in (links, links[::-1]):
        assert best_weights(one, by_device) == {B.owner: PPM}
