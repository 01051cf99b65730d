"""wire.cddl names what the gateway names; the vectors hold both to the protocol."""

import re

from gateway.core.cose import Role
from gateway.core.model import GapReason, Kind, TimeSource
from gateway.core.operator import OperatorKind


def rule(text, name):
    """The right side of a rule."""
    found = re.search(rf"^{name} = (.+?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


def choices(text):
    """Name to number of an enumeration such as &(none: 0, gateway: 1)."""
    return {name: int(value) for name, value in re.findall(r"([a-z0-9-]+): (\d+)", text)}


def wire_names(members):
    return {member.name.lower().replace("_", "-"): member.value for member in members}


def test_kinds_roles_and_enumerations(repo_root):
    text = (repo_root / "spec" / "wire.cddl").read_text()
    uplinks = {name: int(kind) for kind, name in re.findall(r"uplink<(\d+), ([a-z-]+)>", text)}
    assert uplinks == wire_names(kind for kind in Kind if kind < 16)
    downlinks = {int(kind) for kind in re.findall(r"downlink<(\d+), ", text)}
    assert downlinks == {kind.value for kind in Kind if kind >= 16}
    events = {int(kind) for kind in re.findall(r"operator-event<(\d+), ", text)}
    assert events == {kind.value for kind in OperatorKind}
    assert choices(rule(text, "time-source")) == wire_names(TimeSource)
    assert choices(rule(text, "gap-reason")) == wire_names(GapReason)
    assert set(re.findall(r'"([a-z]+)"', rule(text, "role"))) == {role.value for role in Role}
