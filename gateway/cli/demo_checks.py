"""What must be true of a demo run before it may call itself a success."""

from dataclasses import dataclass

MESSAGES_MIN = 10_000


@dataclass(frozen=True, slots=True)
class DemoFacts:
    """Amounts in base units. broken: promises that the simulator's own ledger found broken.

    accounted: signed messages that are durable or covered by a signed gap; rejected: arrivals
    refused for good; corruptions: damaged messages that the network handed over; unsure: refusals
    that a killed gateway may have counted twice or not at all; pool: what the epoch emitted;
    anchored_paid, witnessed_paid: by class of station; coverage_paid: for coverage;
    liars_paid, neighbours_paid: to all liars, and to the honest neighbour of each.
    """

    broken: tuple[str, ...]
    messages_signed: int
    accounted: int
    rejected: int
    corruptions: int
    unsure: int
    anchored_paid: int
    witnessed_paid: int
    coverage_paid: int
    liars_paid: int
    neighbours_paid: int
    pool: int
    paid: int
    carry_before: int
    carry: int
    root: bytes
    audit_ok: bool
    audit_root: bytes


def problems(facts: DemoFacts) -> list[str]:
    """Every reason why the run was no success; empty if it was one."""
    checks = [
        (not facts.broken, f"promises broken: {'; '.join(facts.broken)}"),
        (
            facts.accounted == facts.messages_signed,
            f"{facts.messages_signed - facts.accounted} signed messages are unaccounted for",
        ),
        (
            facts.messages_signed >= MESSAGES_MIN,
            f"{facts.messages_signed} messages were signed, fewer than {MESSAGES_MIN}",
        ),
        (
            abs(facts.rejected - facts.corruptions) <= facts.unsure,
            f"{facts.rejected} messages were rejected, {facts.corruptions} were corrupted",
        ),
        (facts.anchored_paid > 0, "no anchored station was paid"),
        (facts.witnessed_paid > 0, "no witnessed station was paid"),
        (facts.coverage_paid > 0, "nothing was paid for coverage"),
        (
            facts.liars_paid <= facts.neighbours_paid // 2,
            f"lying paid: {facts.liars_paid} against {facts.neighbours_paid} to honest neighbours",
        ),
        (
            facts.paid + facts.carry == facts.pool + facts.carry_before,
            f"paid {facts.paid} + carry {facts.carry} is not what there was",
        ),
        (facts.audit_ok, "the audit found a problem"),
        (
            facts.audit_root == facts.root,
            f"the audit computed the root {facts.audit_root.hex()}, not {facts.root.hex()}",
        ),
    ]
    return [problem for holds, problem in checks if not holds]
