"""The demo's own judgement: a good run passes, and each single flaw fails it by name."""

from dataclasses import replace

import pytest

from gateway.cli.demo_checks import DemoFacts, problems

GOOD = DemoFacts(
    broken=(),
    messages_signed=14_400,
    accounted=14_400,
    rejected=29,
    corruptions=29,
    unsure=0,
    anchored_paid=5,
    witnessed_paid=4,
    coverage_paid=2,
    liars_paid=1,
    neighbours_paid=3,
    pool=100,
    paid=6,
    carry_before=3,
    carry=97,
    root=b"r" * 32,
    audit_ok=True,
    audit_root=b"r" * 32,
)


def test_a_good_run_has_no_problem():
    assert problems(GOOD) == []
    assert problems(replace(GOOD, messages_signed=10_000, accounted=10_000)) == []


@pytest.mark.parametrize(
    "flaw, words",
    [
        ({"broken": ("receipt means durable: a seq 3",)}, "receipt means durable"),
        ({"accounted": 14_399}, "1 signed messages are unaccounted for"),
        ({"messages_signed": 9_999, "accounted": 9_999}, "fewer than 10000"),
        ({"rejected": 28}, "28 messages were rejected, 29 were corrupted"),
        ({"rejected": 30}, "30 messages were rejected"),
        ({"anchored_paid": 0}, "no anchored station"),
        ({"witnessed_paid": 0}, "no witnessed station"),
        ({"coverage_paid": 0}, "nothing was paid for coverage"),
        ({"liars_paid": 2}, "lying paid"),
        ({"paid": 7}, "is not what there was"),
        ({"carry": 96}, "is not what there was"),
        ({"audit_ok": False}, "the audit found a problem"),
        ({"audit_root": b"x" * 32}, "the audit computed the root"),
    ],
)
def test_each_flaw_is_named_alone(flaw, words):
    found = problems(replace(GOOD, **flaw))
    assert len(found) == 1
    assert words in found[0]
