"""Our trees against npm @openzeppelin/merkle-tree 1.0.8 in Node: roots, proofs and dumps."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.bench_rewards import BenchError, measure_rewards
from gateway.core.merkle import Tree
from gateway.settlement.claims import tree_dump

SIZES = (1, 2, 3, 5, 7, 8, 100, 1_001)


def leaves(count):
    """Amounts of every magnitude; owners that share a first byte too."""
    digests = [hashlib.sha256(b"leaf %d" % i).digest() for i in range(count)]
    return [
        (digest[:20], int.from_bytes(digest, "big") >> i * 37 % 257)
        for i, digest in enumerate(digests)
    ]


@pytest.fixture(scope="module")
def openzeppelin(node_modules, require_component):
    folder: Path = node_modules("npm").parent
    node = require_component("node")

    def build(pairs):
        values = [["0x" + owner.hex(), str(amount)] for owner, amount in pairs]
        done = subprocess.run(
            [node, "oz_tree.js"],
            cwd=folder,
            input=json.dumps({"values": values}),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    return build


@pytest.mark.parametrize("count", SIZES)
def test_root_proofs_and_dump(openzeppelin, count):
    pairs = leaves(count)
    tree = Tree(pairs)
    theirs = openzeppelin(pairs)
    assert "0x" + tree.root.hex() == theirs["root"]
    ours = [["0x" + node.hex() for node in tree.proof(owner)] for owner, _ in pairs]
    assert ours == theirs["proofs"]
    assert tree_dump(tree) == theirs["dump"]


def cairn(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_payouts_of_a_fleet_and_the_proofs_that_its_owners_get(openzeppelin, tmp_path):
    data = tmp_path / "fleet"
    run = cairn("fleet", "run", "--scenario", "storm", "--seed", "3", "--data", data)
    epoch = run["epochs"][-1]
    rows = cairn("epoch", "show", str(epoch["epoch"]), "--data", data)["stations"]
    earned = {row["owner"]: int(row["cumulative"]) for row in rows if row["owner"]}
    pairs = [(bytes.fromhex(owner[2:]), paid) for owner, paid in sorted(earned.items()) if paid]
    assert len(run["epochs"]) == 2
    assert len(pairs) > 10
    theirs = openzeppelin(pairs)
    assert theirs["root"] == "0x" + epoch["root"]
    for (owner, paid), proof in zip(pairs, theirs["proofs"], strict=True):
        claim = cairn("claim", "proof", f"0x{owner.hex()}", "--data", data)
        assert (claim["proof"], claim["amount"]) == (proof, str(paid))


def test_the_lock_names_one_version_and_no_host(repo_root):
    packages = json.loads((repo_root / "tests/npm/package-lock.json").read_bytes())["packages"]
    tree = packages["node_modules/@openzeppelin/merkle-tree"]
    assert tree["version"] == "1.0.8"
    assert tree["integrity"].startswith("sha512-")
    assert not any("resolved" in package for package in packages.values())


def test_the_benchmark_reports_one_object(node_modules, repo_root):
    result = measure_rewards(
        repo_root / "spec", node_modules("npm"), leaves=300, rounds=1, stations=400
    )
    assert json.loads(json.dumps(result)) == result
    (bar,) = result["bars"]
    assert bar["met"] == (bar["value"] >= bar["bar"] == 20)
    assert len(result["ours_s"]) == len(result["openzeppelin_s"]) == 1
    million = result["one_million"]
    assert million["stations"] == 400
    assert 0 < million["holders"] <= 400
    assert million["peak_memory_mb"] > 10


def test_the_benchmark_says_what_is_missing(require_component, repo_root, tmp_path):
    require_component("node")
    with pytest.raises(BenchError, match=r"merkle-tree is absent\. Install Node") as caught:
        measure_rewards(repo_root / "spec", tmp_path, leaves=1)
    assert caught.value.code == "bench_impossible"
