"""What the radio said of a station, as the part of the explanation that is about coverage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.core.coverage.model import Link, PlaceResult, StationCoverage
from gateway.core.epoch_inputs import Finding
from gateway.core.ids import device_name
from gateway.core.rules import PlaceRules, Rules
from gateway.core.slots import StationClass
from gateway.core.verdicts import ADVICE, Verdict

Tree = dict[str, Any]

CLASS_NAMES = {
    StationClass.WITNESSED: "anchored or witnessed",
    StationClass.PEER_CHECKED: "peer-checked",
    StationClass.UNPROVEN: "unproven",
}


def coverage_tree(own: StationCoverage, links: Iterable[Link], rules: Rules) -> Tree:
    """Return a station's coverage; of the links those in which it is the beaconer."""
    return {
        **station_tree(own, rules.place),
        "links": [link_tree(link) for link in links if link.beaconer == own.device],
    }


def station_tree(own: StationCoverage, rules: PlaceRules) -> Tree:
    """Return what a station's day came to, without its links."""
    return {
        "expected": own.expected,
        "heard": own.heard,
        "witnesses": own.witnesses,
        "witness_ppm": own.witness_ppm,
        "listening_hours": own.listening_hours,
        "hops": own.hops,
        "v_ppm": own.v_ppm,
        "u_ppm": own.u_ppm,
        "class": CLASS_NAMES[own.station_class],
        "near_proof": own.near_proof,
        "unrevealed": own.unrevealed,
        "place": None if own.place is None else _place(own.place, rules),
        "findings": [finding_tree(finding) for finding in own.findings],
    }


def link_tree(link: Link) -> Tree:
    """Return one link with its verdict and advice."""
    return {
        "beaconer": device_name(link.beaconer),
        "witness": device_name(link.witness),
        "radio": link.radio,
        "heard": link.heard,
        "silent": link.silent,
        "excess_cdb": link.excess_cdb,
        "distance_m": link.distance_m,
        "weight_ppm": link.weight_ppm,
        **advice(link.verdict),
    }


def finding_tree(finding: Finding) -> Tree:
    """Return a finding with its advice and its examples in hex."""
    return {
        **advice(finding.verdict),
        "count": finding.count,
        "examples": [message_id.hex() for message_id in finding.examples],
    }


def advice(verdict: Verdict) -> Tree:
    """Return a verdict's name, what it means and what to do."""
    what, do = ADVICE[verdict]
    return {"verdict": verdict.name.lower(), "what": what, "do": do}


def _place(place: PlaceResult, rules: PlaceRules) -> Tree:
    return {
        **advice(place.verdict),
        "observations": place.observations,
        "heard": place.heard,
        "second_z_milli": place.second_z_milli,
        "max_z_milli": place.max_z_milli,
        "odds_milli": place.odds_milli,
        "full_odds_milli": place.full_odds_milli,
        "best_e6": list(place.best),
        "best_m": place.best_m,
        "radius_m": place.radius_m,
        "limits": {
            "second_z_milli": rules.second_z_limit_milli,
            "odds_milli": rules.odds_limit_milli,
        },
        "z_milli": [
            {"witness": device_name(witness), "z_milli": z_milli}
            for witness, z_milli in place.zs_milli
        ],
    }
