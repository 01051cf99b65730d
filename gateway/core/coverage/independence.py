"""What a witness is worth, and who is connected to an audited station: spec/coverage.md 6 and 7.

A key costs nothing, so a thousand of them that praise each other must be worth as much as none:
only what leads to an anchor, over witnesses of different owners, counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from gateway.core.coverage.model import Link, Member
from gateway.core.rules import PPM, CoverageRules
from gateway.core.verdicts import Verdict


def weighed(
    links: Iterable[Link], members: Mapping[bytes, Member], rules: CoverageRules
) -> list[Link]:
    """Return the links between members with their weights and verdicts, ascending."""
    return sorted(
        _weighed(link, members[link.beaconer], members[link.witness], rules)
        for link in links
        if link.beaconer in members and link.witness in members
    )


def owner_key(member: Member) -> bytes:
    """Return whom a station speaks for: its owner; without one, itself."""
    return member.owner or member.device


def path_key(member: Member) -> bytes:
    """Return whom a station speaks for on a path: an anchor was audited itself, and not its owner.

    Else the first anchors of a network, all the operator's, would bring nobody into it.
    """
    return member.device if member.anchored else owner_key(member)


def path_levels(
    links: Iterable[Link],
    members: Mapping[bytes, Member],
    excluded: AbstractSet[bytes],
    rules: CoverageRules,
) -> dict[bytes, int]:
    """Return the level of every station that has a path to an anchor.

    An anchor has level 0; any other station one more than the path_witnesses-th smallest level
    among the parties that heard it (weight above 0), at most hops_max. The excluded have none and
    are nobody's witness. Grown level by level, so the order of links does not matter.
    """
    heard_by: dict[bytes, list[bytes]] = {}
    for link in links:
        if link.heard and link.weight_ppm and not excluded & {link.beaconer, link.witness}:
            heard_by.setdefault(link.beaconer, []).append(link.witness)
    levels = {
        device: 0
        for device, member in members.items()
        if member.anchored and device not in excluded
    }
    for level in range(1, rules.hops_max + 1):
        # A round sees only the levels below its own, however the stations are walked.
        reached = [
            device
            for device, witnesses in heard_by.items()
            if device not in levels
            and len({path_key(members[w]) for w in witnesses if w in levels})
            >= rules.path_witnesses
        ]
        if not reached:
            break
        levels.update(dict.fromkeys(reached, level))
    return levels


def best_weights(links: Iterable[Link], members: Mapping[bytes, Member]) -> dict[bytes, int]:
    """Return the largest weight of a witness by whom it speaks for."""
    best: dict[bytes, int] = {}
    for link in links:
        key = owner_key(members[link.witness])
        best[key] = max(best.get(key, 0), link.weight_ppm)
    return best


def _weighed(link: Link, beaconer: Member, witness: Member, rules: CoverageRules) -> Link:
    verdict, weight_ppm = _worth(link, beaconer, witness, rules)
    if link.verdict is Verdict.SILENT or not (link.heard or verdict is Verdict.BEYOND_FREE_SPACE):
        verdict = Verdict.SILENT
    return link._replace(verdict=verdict, weight_ppm=weight_ppm)


def _worth(
    link: Link, beaconer: Member, witness: Member, rules: CoverageRules
) -> tuple[Verdict, int]:
    if link.verdict is Verdict.BEYOND_FREE_SPACE:
        return Verdict.BEYOND_FREE_SPACE, 0
    if not (witness.mains and witness.fine):
        return Verdict.NO_WITNESS_DUTY, 0
    if witness.device == beaconer.device or (witness.owner and witness.owner == beaconer.owner):
        return Verdict.SAME_OWNER, 0
    if witness.net_tags & beaconer.net_tags:
        return Verdict.SAME_NETWORK, rules.same_network_ppm
    return Verdict.HEARD, PPM
