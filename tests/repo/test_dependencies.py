"""Pins: every one is exact, justified once, and complete down the tree."""

import re
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

JUSTIFIED = re.compile(r"^- `([a-z0-9-]+)`: \S.*\.$")


@pytest.fixture(scope="module")
def direct(tree) -> list[Requirement]:
    project = tomllib.loads(tree.text("pyproject.toml"))
    extras = project["project"]["optional-dependencies"].values()
    listed = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    return [Requirement(line) for line in [*listed, *(line for e in extras for line in e)]]


@pytest.fixture(scope="module")
def constraints(tree) -> dict[str, str]:
    lines = tree.text("constraints.txt").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_direct_pins_are_exact(direct):
    assert [str(r) for r in direct if not re.fullmatch(r"==[\w.]+", str(r.specifier))] == []


def test_each_direct_dependency_is_justified_once_and_nothing_else(tree, direct):
    lines = tree.text("docs/decisions/dependencies.md").splitlines()
    items = [line for line in lines if line.startswith(("- ", "* "))]
    assert [line for line in items if not JUSTIFIED.match(line)] == []
    justified = [JUSTIFIED.match(line).group(1) for line in items]
    assert sorted(justified) == sorted(canonicalize_name(r.name) for r in direct)


def test_every_transitive_dependency_is_pinned_at_what_is_installed(direct, constraints):
    pinned = {canonicalize_name(r.name): str(r.specifier)[2:] for r in direct} | constraints
    waiting = [r for r in direct if r.marker is None or r.marker.evaluate()]
    installed, seen = {}, set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        found = metadata.distribution(name)
        installed[name] = found.version
        for extra in {"", *requirement.extras} - {one for of, one in seen if of == name}:
            seen.add((name, extra))
            asked = {"extra": extra}
            wanted = [Requirement(line) for line in found.requires or []]
            waiting += [r for r in wanted if r.marker is None or r.marker.evaluate(asked)]
    assert installed.items() <= pinned.items()
    assert constraints.keys() <= installed.keys()
