import pytest

from gateway.core.cbor_profile import encode
from gateway.core.genesis import Genesis
from gateway.core.verdicts import Verdict

ROOT, RULES = b"r" * 32, b"u" * 32
GOOD = [1, "a network", ROOT, 86_400_000, RULES, 0]


def test_it_goes_there_and_back():
    genesis = Genesis("a network", ROOT, 86_400_000, RULES, simulated=False)
    assert genesis.encode() == encode(GOOD)
    assert Genesis.decode(genesis.encode()) == genesis
    assert len(genesis.network_id()) == 8


def test_every_field_is_in_the_network_id():
    genesis = Genesis("a network", ROOT, 86_400_000, RULES, simulated=False)
    others = [
        Genesis("b network", ROOT, 86_400_000, RULES, simulated=False),
        Genesis("a network", RULES, 86_400_000, RULES, simulated=False),
        Genesis("a network", ROOT, 0, RULES, simulated=False),
        Genesis("a network", ROOT, 86_400_000, ROOT, simulated=False),
        Genesis("a network", ROOT, 86_400_000, RULES, simulated=True),
    ]
    assert len({one.network_id() for one in [genesis, *others]}) == 6


@pytest.mark.parametrize(
    "fields",
    [
        GOOD[:5],
        [2, *GOOD[1:]],
        [1, "", *GOOD[2:]],
        [1, "x" * 65, *GOOD[2:]],
        [*GOOD[:2], ROOT[:31], *GOOD[3:]],
        [*GOOD[:3], 86_400_001, *GOOD[4:]],
        [*GOOD[:3], -86_400_000, *GOOD[4:]],
        [*GOOD[:3], (1 << 53) // 86_400_000 * 86_400_000 + 86_400_000, *GOOD[4:]],
        [*GOOD[:5], 2],
        [*GOOD[:5], -1],
        "genesis",
    ],
)
def test_wrong_fields_are_a_bad_payload(fields):
    assert Genesis.decode(encode(fields)) is Verdict.BAD_PAYLOAD


def test_look_alikes_of_integers_are_named():
    assert Genesis.decode(encode([*GOOD[:5], True])) is Verdict.UNSUPPORTED_TYPE
    assert Genesis.decode(encode([1.0, *GOOD[1:]])) is Verdict.FLOAT
    assert Genesis.decode(encode(GOOD)[:-1]) is Verdict.TRUNCATED


def test_an_operator_is_told_what_is_wrong():
    with pytest.raises(ValueError, match="start of a UTC day"):
        Genesis("n", ROOT, 1, RULES, simulated=False)
