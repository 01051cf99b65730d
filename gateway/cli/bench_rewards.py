"""Measures claim trees against OpenZeppelin's Node library, and a million stations of ours.

Timings of one run only compare with each other: rounds are interleaved and medians taken.
"""

import hashlib
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h3

from gateway.core import merkle
from gateway.core.allocator import Share, allocate
from gateway.core.emission import emission
from gateway.core.geometry import Sphere
from gateway.core.h3bits import parent
from gateway.core.merkle import Tree, pysha3_keccak
from gateway.core.rules import PPM, REWARD_RESOLUTION, parse_rules
from gateway.core.slots import SlotCandidate, StationClass, assign_slots
from gateway.core.tables import parse_trig

SPEED_BAR = 20.0
LEAVES = 100_000
ROUNDS = 3
STATIONS = 1_000_000
PACKAGE = "@openzeppelin/merkle-tree"
SEED = 1
_SCORING_RESOLUTION = 9
_STATIONS_PER_TOWN = 50
_TOWN_E6 = 50_000
_TOKEN = 10**18

# Only tree and root are timed, as on our side: neither start-up nor reading the leaves.
_NODE_PROGRAM = """
const { StandardMerkleTree } = require(process.argv[1]);
const values = JSON.parse(require("fs").readFileSync(0, "utf8"));
const start = process.hrtime.bigint();
const root = StandardMerkleTree.of(values, ["address", "uint256"]).root;
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
process.stdout.write(JSON.stringify({ seconds, root }));
"""


class BenchError(Exception):
    """The measurement cannot be made: what, why, what to do, and a stable code."""

    def __init__(self, what: str, why: str, do: str) -> None:
        super().__init__(f"{what}: {why}. {do}")
        self.what = what
        self.why = why
        self.do = do
        self.code = "bench_impossible"


def measure_rewards(
    spec: Path,
    node_modules: Path,
    leaves: int = LEAVES,
    rounds: int = ROUNDS,
    stations: int = STATIONS,
) -> dict[str, Any]:
    """Return the bars and the million's timings as one JSON-able object; minutes at full size.

    spec: the directory with rules/0001.toml and tables/trig.csv. node_modules: where
    @openzeppelin/merkle-tree is installed. BenchError without it or without node; AssertionError
    if the two libraries give different roots, since then nothing was measured.
    """
    node, package = _oracle(node_modules)
    pairs = _claims(leaves)
    text = json.dumps([["0x" + owner.hex(), str(amount)] for owner, amount in pairs])
    ours_s, node_s = [], []
    root = ""
    for _ in range(rounds):
        seconds, root = _time_ours(pairs)
        ours_s.append(seconds)
        seconds, node_root = _time_node(node, package, text)
        node_s.append(seconds)
        if root != node_root:
            raise AssertionError(f"roots differ: ours {root}, OpenZeppelin's {node_root}")
    ratio = statistics.median(node_s) / statistics.median(ours_s)
    return {
        "bars": [
            {
                "name": "claim_tree_speed_against_openzeppelin",
                "value": round(ratio, 1),
                "bar": SPEED_BAR,
                "op": ">=",
                "met": ratio >= SPEED_BAR,
            }
        ],
        "leaves": leaves,
        "root": root,
        "keccak": "safe-pysha3" if pysha3_keccak else "pycryptodome",
        "ours_s": [round(seconds, 3) for seconds in ours_s],
        "openzeppelin_s": [round(seconds, 3) for seconds in node_s],
        "one_million": _in_a_child(spec, stations),
    }


def measure_million(spec: Path, stations: int) -> dict[str, Any]:
    """Time slots, allocation and tree over `stations` seeded stations in this process.

    All of them are allocated and claimed for, whether or not they hold a slot. Peak memory is the
    process's, so the caller gives it a process of its own.
    """
    rules = parse_rules((spec / "rules" / "0001.toml").read_bytes())
    sphere = Sphere(parse_trig((spec / "tables" / "trig.csv").read_bytes()))
    candidates, cells = _world(stations)
    start = time.perf_counter()
    slots = assign_slots(candidates, rules.slots.distance_min_m, sphere.distance_m)
    slots_s = time.perf_counter() - start
    shares = [
        Share(
            station=candidate.station,
            cell=cell,
            weight=rules.allocation.default_cell_weight,
            u_ppm=20_000 if candidate.station_class == StationClass.UNPROVEN else PPM,
            unproven=candidate.station_class == StationClass.UNPROVEN,
        )
        for candidate, cell in zip(candidates, cells, strict=True)
    ]
    pool = emission(0, rules.emission.schedule)
    start = time.perf_counter()
    allocations = allocate(pool, shares, rules.allocation)
    allocation_s = time.perf_counter() - start
    claims = [(bytes(4) + station, a.pay) for station, a in allocations.items()]
    tree_s, root = _time_ours(claims)
    return {
        "stations": stations,
        "holders": sum(decision.holder for decision in slots.values()),
        "slots_s": round(slots_s, 2),
        "allocation_s": round(allocation_s, 2),
        "tree_s": round(tree_s, 2),
        "peak_memory_mb": _peak_memory_mb(),
        "root": root,
    }


def _claims(count: int) -> list[tuple[bytes, int]]:
    rng = random.Random(SEED)  # noqa: S311 - a world that can be made again, no secret
    return [
        (rng.randbytes(merkle.OWNER_BYTES), rng.randrange(10**6 * _TOKEN)) for _ in range(count)
    ]


def _world(stations: int) -> tuple[list[SlotCandidate], list[int]]:
    """Candidates in towns of 50 stations, and their reward cells."""
    rng = random.Random(SEED)  # noqa: S311 - a world that can be made again, no secret
    towns = [
        (rng.randint(-60_000_000, 70_000_000), rng.randint(-180_000_000, 179_000_000))
        for _ in range(max(1, stations // _STATIONS_PER_TOWN))
    ]
    candidates, cells = [], []
    for i in range(stations):
        south, west = towns[i % len(towns)]
        latitude_e6 = south + rng.randint(0, _TOWN_E6)
        longitude_e6 = west + rng.randint(0, _TOWN_E6)
        scoring = h3.latlng_to_cell(latitude_e6 / 1e6, longitude_e6 / 1e6, _SCORING_RESOLUTION)
        latitude, longitude = h3.cell_to_latlng(scoring)
        candidates.append(
            SlotCandidate(
                station=hashlib.sha256(i.to_bytes(8, "big")).digest()[:16],
                centre=(round(latitude * 1e6), round(longitude * 1e6)),
                station_class=StationClass(rng.randrange(3)),
                since_epoch=rng.randrange(1_000),
            )
        )
        cells.append(parent(h3.str_to_int(scoring), REWARD_RESOLUTION))
    return candidates, cells


def _oracle(node_modules: Path) -> tuple[str, Path]:
    do = "Install Node.js 20 or later and run `npm ci` in tests/npm"
    node = shutil.which("node")
    if node is None:
        raise BenchError("OpenZeppelin's library cannot be run", "node is not on PATH", do)
    package = node_modules.resolve() / PACKAGE
    if not package.is_dir():
        raise BenchError("OpenZeppelin's library cannot be run", f"{package} is absent", do)
    return node, package


def _time_ours(pairs: list[tuple[bytes, int]]) -> tuple[float, str]:
    start = time.perf_counter()
    root = Tree(pairs).root
    return time.perf_counter() - start, "0x" + root.hex()


def _time_node(node: str, package: Path, text: str) -> tuple[float, str]:
    command = [node, "-e", _NODE_PROGRAM, str(package)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        do = "Run `npm ci` in tests/npm again"
        raise BenchError("OpenZeppelin's library failed", done.stderr.strip()[-400:], do)
    result = json.loads(done.stdout)
    return float(result["seconds"]), str(result["root"])


def _in_a_child(spec: Path, stations: int) -> dict[str, Any]:
    command = [sys.executable, "-m", __name__, str(spec.resolve()), str(stations)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode:
        raise BenchError("The million failed", done.stderr.strip()[-400:], "Report this as a bug")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _peak_memory_mb() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kilobytes, macOS bytes.
    return peak // (1_000_000 if sys.platform == "darwin" else 1_000)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_million(Path(sys.argv[1]), int(sys.argv[2]))))
