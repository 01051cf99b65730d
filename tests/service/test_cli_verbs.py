"""The verbs on a real data directory: two closed epochs of three stations."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.core.admission import Arrival
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.operator import OperatorKind
from gateway.settlement.claims import ClaimVerdict, verify_claim
from gateway.shell.network import DATABASE, create_network
from gateway.shell.service import Gateway
from gateway.shell.store.sqlite import SqliteStore
from tests.service.signing_station import CELL, SigningStation

EPOCH = 20_000
START = EPOCH * DAY_MS
OWNER = bytes(range(20))
FAR_CELL = 0x89194AD14D7FFFF  # in London


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with an anchored, a standby and an unproven station; epochs 20000 and 20001."""
    folder = tmp_path_factory.mktemp("data")
    keys = create_network(folder, "test", simulated=True, epoch_zero_ms=START, seed=1)
    gateway = Gateway.open(SqliteStore.create(folder / DATABASE, keys.network_id), keys)
    stations = [
        SigningStation(1, keys.network_id),
        SigningStation(2, keys.network_id),
        SigningStation(3, keys.network_id, cell=FAR_CELL),
    ]
    gateway.operate(OperatorKind.ANCHOR, [stations[0].device, 1], START)
    for station in stations:
        messages = [station.hello(START), station.claim(START, OWNER)]
        gateway.deliver([Arrival(None, data) for data in messages], START)
    for time_ms in range(START, START + 2 * DAY_MS, 300_000):
        batch = [station.reading(time_ms, 1_000 + time_ms % 70) for station in stations]
        gateway.deliver([Arrival(None, data) for data in batch], time_ms)
    assert [outcome.epoch for outcome in gateway.advance(START + 3 * DAY_MS)] == [EPOCH, EPOCH + 1]
    gateway.close()
    return folder


@pytest.fixture(scope="module")
def bundles(data: Path) -> Path:
    for epoch in (EPOCH, EPOCH + 1):
        assert cairn("export", "bundle", str(epoch), "--data", str(data)).exit_code == 0
    return data / "bundles"


def cairn(*arguments: str):
    return CliRunner().invoke(main, arguments)


def answer(*arguments: str, exit_code: int = 0) -> dict:
    """The one JSON object that a verb prints, and nothing else."""
    result = cairn(*arguments, "--json")
    assert result.exit_code == exit_code, result.output
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""
    return json.loads(result.stdout)


def name(number: int) -> str:
    return device_name(SigningStation(number, b"").device)


# ---- epoch


def test_epoch_list(data: Path):
    epochs = answer("epoch", "list", "--data", str(data))["epochs"]
    assert [one["epoch"] for one in epochs] == [EPOCH, EPOCH + 1]
    first, second = epochs
    assert first["day"] == "2024-10-04"
    assert (first["stations"], first["messages"]) == (3, 870)
    assert first["carry"] == second["carry_before"]
    for one in epochs:
        pool, paid, carry, before = (
            int(one[key]) for key in ("pool", "paid", "carry", "carry_before")
        )
        assert paid + carry == pool + before
        assert paid > 0


def test_epoch_show(data: Path):
    shown = answer("epoch", "show", str(EPOCH), "--data", str(data))
    assert set(shown) == {"epoch", "manifest_hash", "manifest", "attestation", "stations"}
    rows = {row["station"]: row for row in shown["stations"]}
    anchored, standby, unproven = (rows[name(number)] for number in (1, 2, 3))
    assert (anchored["class"], anchored["slot"]) == ("anchored", "holder")
    assert (standby["slot"], standby["blocked_by"]) == ("standby", name(1))
    assert standby["paid"] == "0"
    assert (unproven["class"], unproven["slot"]) == ("unproven", "holder")
    assert int(anchored["paid"]) > int(unproven["paid"]) > 0
    assert anchored["cell"] == f"{CELL:x}"
    assert anchored["owner"] == f"0x{OWNER.hex()}"
    assert sum(int(row["paid"]) for row in rows.values()) == int(
        shown["manifest"]["totals"]["paid"]
    )
    plain = cairn("epoch", "show", str(EPOCH), "--data", str(data)).stdout
    assert all(station in plain for station in rows)
    assert "\x1b" not in plain
    totals = shown["manifest"]["totals"]
    (paid,) = [line.split() for line in plain.splitlines() if line.startswith("paid   ")]
    assert paid[2] == "tokens:"
    assert paid[1].replace(".", "") == totals["paid"][:-14]
    assert totals["paid"] not in plain


def test_a_directory_in_which_no_gateway_has_run(tmp_path: Path):
    create_network(tmp_path / "d", "test", simulated=True, epoch_zero_ms=START, seed=1)
    result = cairn("epoch", "list", "--data", str(tmp_path / "d"))
    assert result.exit_code == 3
    assert "store_missing" in result.stderr


def test_epoch_close(data: Path, tmp_path: Path):
    shutil.copytree(data, tmp_path / "d")
    closed = answer("epoch", "close", str(EPOCH + 3), "--data", str(tmp_path / "d"))["closed"]
    assert [one["epoch"] for one in closed] == [EPOCH + 2, EPOCH + 3]
    assert answer("epoch", "close", "--data", str(tmp_path / "d")) == {"closed": []}
    missing = cairn("epoch", "show", str(EPOCH + 9), "--data", str(data))
    assert missing.exit_code == 2
    assert "epoch_missing" in missing.stderr


def test_a_real_network_does_not_close_before_its_time(tmp_path: Path):
    folder = tmp_path / "real"
    keys = create_network(folder, "real", simulated=False, epoch_zero_ms=30_000 * DAY_MS)
    SqliteStore.create(folder / DATABASE, keys.network_id).close()
    result = cairn("epoch", "close", "30000", "--data", str(folder))
    assert result.exit_code == 2
    assert "epoch_not_due" in result.stderr
    assert "2052-02-21" in result.stderr


# ---- export and audit


def test_a_bundle_is_always_the_same_bytes(data: Path, bundles: Path, tmp_path: Path):
    out = tmp_path / "again.cairn"
    told = answer("export", "bundle", str(EPOCH), "--data", str(data), "--out", str(out))
    assert out.read_bytes() == (bundles / f"{EPOCH}.cairn").read_bytes()
    assert told["bytes"] == out.stat().st_size


def test_audit_recomputes_the_root(data: Path, bundles: Path):
    for one in answer("epoch", "list", "--data", str(data))["epochs"]:
        report = answer("audit", str(bundles / f"{one['epoch']}.cairn"))
        assert report["ok"]
        assert report["root"] == one["root"]
        assert all(check["ok"] for check in report["checks"])
        told = answer("audit", report["file"], "--manifest", report["manifest"])
        assert told["ok"]
    answer("audit", report["file"], "--manifest", "00" * 32, exit_code=1)


def test_audit_of_the_chain(bundles: Path, tmp_path: Path):
    report = answer("audit", "--chain", str(bundles))
    assert report["ok"]
    assert [one["epoch"] for one in report["bundles"]] == [EPOCH, EPOCH + 1]
    second = bundles / f"{EPOCH + 1}.cairn"
    (tmp_path / second.name).write_bytes(second.read_bytes())
    alone = answer("audit", "--chain", str(tmp_path), exit_code=1)
    assert [link["name"] for link in alone["links"] if not link["ok"]] == ["first epoch"]


def test_audit_for_people(bundles: Path, tmp_path: Path):
    path = str(bundles / f"{EPOCH}.cairn")
    report = answer("audit", path)
    lines = cairn("audit", path).stdout.splitlines()
    words = f"epoch {EPOCH}, root {report['root']}, {len(report['checks'])} checks"
    assert lines[0] == f"{path}: {words}"
    head, *rows = lines[2:-2]
    assert head.split() == ["check", "result", "detail"]
    place = head.index("result")
    assert [row[:place].rstrip() for row in rows] == [one["name"] for one in report["checks"]]
    assert {row[place:].split()[0] for row in rows} == {"ok"}
    assert lines[-1] == "all holds"


def test_audit_of_a_chain_for_people_shows_links_and_what_failed(bundles: Path, tmp_path: Path):
    good = cairn("audit", "--chain", str(bundles)).stdout.splitlines()
    assert [line.split(":")[0] for line in good[:2]] == [
        str(bundles / f"{epoch}.cairn") for epoch in (EPOCH, EPOCH + 1)
    ]
    assert [line.split()[0] for line in good[3:-2]] == ["epoch", "link", "link"]
    assert good[-1] == "all holds"
    whole = (bundles / f"{EPOCH}.cairn").read_bytes()
    (tmp_path / "cut.cairn").write_bytes(whole[:-1])
    bad = cairn("audit", "--chain", str(tmp_path)).stdout
    assert "cut.cairn: not computed" in bad
    assert "FAILED" in bad
    assert bad.endswith("something does not hold\n")


def test_any_flipped_byte_is_named(bundles: Path, tmp_path: Path):
    whole = (bundles / f"{EPOCH}.cairn").read_bytes()
    path = tmp_path / "flipped.cairn"
    for position in range(0, len(whole), len(whole) // 60):
        path.write_bytes(
            whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :]
        )
        report = answer("audit", str(path), exit_code=1)
        (check,) = [check for check in report["checks"] if not check["ok"]]
        assert check["name"].split(",")[0].split()[0] in {"header", "index", "section"}
        assert check["detail"]
    assert "FAILED" in cairn("audit", str(path)).stdout


def test_a_cut_off_bundle_is_named(bundles: Path, tmp_path: Path):
    whole = (bundles / f"{EPOCH}.cairn").read_bytes()
    path = tmp_path / "cut.cairn"
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert not answer("audit", str(path), exit_code=1)["ok"]


def test_the_auditor_needs_no_database_and_no_network(bundles: Path):
    """In a process of its own, with an empty environment, and sockets forbidden."""
    code = """
import socket, sys
def forbidden(*_, **__): raise AssertionError("the audit opened a socket")
socket.socket = forbidden
from gateway.cli import main
try:
    main(["audit", sys.argv[1], "--json"])
except SystemExit as leaving:
    heavy = [m for m in ("sqlite3", "simulator", "cairn", "pydantic", "gateway.shell.service",
             "gateway.shell.store", "gateway.shell.network") if m in sys.modules]
    assert heavy == [], heavy
    raise
"""
    path = bundles / f"{EPOCH}.cairn"
    environment = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env=environment,
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert json.loads(done.stdout)["ok"]


def test_an_epoch_that_was_tampered_with_is_not_exported(data: Path, tmp_path: Path):
    shutil.copytree(data, tmp_path / "d")
    database = sqlite3.connect(tmp_path / "d" / DATABASE)
    database.execute("UPDATE centres SET lat_e6 = lat_e6 + 9000")
    database.commit()
    database.close()
    result = cairn("export", "bundle", str(EPOCH), "--data", str(tmp_path / "d"))
    assert result.exit_code == 1
    assert "epoch_damaged" in result.stderr


# ---- explain and claim


def test_explain_adds_up_to_what_was_paid(data: Path):
    rows = answer("epoch", "show", str(EPOCH), "--data", str(data))["stations"]
    for row in rows:
        tree = answer("explain", row["station"], str(EPOCH), "--data", str(data))
        assert tree["outcome"]["paid"] == row["paid"]
        assert tree["outcome"]["verdict"] == row["reason"]
        paid = tree["pay"]["value"] if tree["pay"] else "0"
        assert paid == row["paid"]


def test_explain_for_people(data: Path):
    result = cairn("explain", name(2), str(EPOCH), "--data", str(data))
    assert result.exit_code == 0
    assert f"0 m from {name(1)}" in result.stdout
    assert "Move at least the slot distance away" in result.stdout


def test_a_stranger_is_not_explained(data: Path):
    result = cairn("explain", name(9), str(EPOCH), "--data", str(data))
    assert result.exit_code == 2
    assert "station_unknown" in result.stderr


def test_a_claim_proof_verifies_against_the_root(data: Path):
    epochs = {one["epoch"]: one for one in answer("epoch", "list", "--data", str(data))["epochs"]}
    newest = answer("claim", "proof", f"0x{OWNER.hex()}", "--data", str(data))
    older = answer("claim", "proof", OWNER.hex(), "--epoch", str(EPOCH), "--data", str(data))
    assert (newest["epoch"], older["epoch"]) == (EPOCH + 1, EPOCH)
    assert int(newest["amount"]) > int(older["amount"])
    for claim in (newest, older):
        root = bytes.fromhex(epochs[claim["epoch"]]["root"])
        assert verify_claim(claim, root) is ClaimVerdict.VALID
        more = claim | {"amount": str(int(claim["amount"]) + 1)}
        assert verify_claim(more, root) is ClaimVerdict.NOT_IN_TREE
    unknown = cairn("claim", "proof", "00" * 20, "--data", str(data))
    assert unknown.exit_code == 2
    assert "owner_unknown" in unknown.stderr


def test_reading_needs_no_key(data: Path, tmp_path: Path):
    shutil.copytree(data, tmp_path / "d", ignore=shutil.ignore_patterns("keys", "bundles"))
    folder = str(tmp_path / "d")
    answer("epoch", "list", "--data", folder)
    answer("export", "bundle", str(EPOCH), "--data", folder)
    answer("claim", "proof", OWNER.hex(), "--data", folder)
    closing = cairn("epoch", "close", str(EPOCH + 2), "--data", folder)
    assert closing.exit_code == 3
    assert "keys_missing" in closing.stderr


# ---- bench


def test_bench_rewards_agrees_with_the_other_library(node_modules):
    modules = node_modules("npm")
    result = cairn(
        *("bench", "rewards", "--node-modules", str(modules)),
        *("--leaves", "200", "--stations", "500", "--json"),
    )
    report = json.loads(result.stdout)
    assert report["leaves"] == 200
    assert all({"name", "value", "bar", "op", "met"} == set(bar) for bar in report["bars"])
    # 200 leaves are too few to meet the bar for certain; that is a result, not a failure.
    assert result.exit_code == 0
