"""`cairn release` on a data directory: keys, folders, what is refused, how far one has come."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from nacl.signing import SigningKey

from gateway.cli import main
from gateway.cli.gateway_child import GatewayChild
from gateway.core.admission import Arrival
from gateway.core.ids import device_name
from gateway.core.verdicts import Verdict
from gateway.shell.release_folder import read_release, write_release
from gateway.shell.release_keys import TRUST, read_trust
from gateway.shell.releases import publish
from tests.service.gateway_rig import START, open_gateway
from tests.service.signing_station import SigningStation
from tests.unit.gateway.release_kit import ALICE, BOB, CAROL, ReleaseWorld, release_world

HELLOS = {
    1: "cairn 0.4.0 r4",
    2: "cairn 0.3.0 r3",
    3: "cairn 0.3.0 r3 x4",
    4: "cairn 0.1.0 r0",
    5: "cairn 0.1.0",
    6: "some other program",
    7: "cairn 0.5.0 r5",
    8: "cairn 0.2.0 r2 x3",
}
STATES = {
    1: "current",
    2: "waiting",
    3: "failed",
    4: "waiting",
    5: "by_cable",
    6: "by_cable",
    7: "ahead",
    8: "waiting",
}


@pytest.fixture
def world(tmp_path: Path) -> ReleaseWorld:
    return release_world(tmp_path / "data")


@pytest.fixture
def cairn(world, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str):
        return CliRunner().invoke(main, ["release", *arguments, "--data", str(world.folder)])

    return run


@pytest.fixture
def answer(cairn):
    def run(*arguments: str, exit_code: int = 0) -> dict:
        done = cairn(*arguments, "--json")
        assert done.exit_code == exit_code, done.output
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)

    return run


def keyfile(folder: Path, key: SigningKey, name: str) -> Path:
    path = folder / name
    path.write_text(bytes(key).hex())
    path.chmod(0o600)
    return path


def public(key: SigningKey) -> str:
    return bytes(key.verify_key).hex()


def refused(done, code: str, word: str, exit_code: int = 1) -> None:
    assert done.exit_code == exit_code, done.output
    assert f"code: {code}" in done.stderr
    assert word in done.stderr
    assert done.stdout == ""


# ---- keys


def test_keys_are_made_and_trusted(world, cairn, answer):
    made = answer("keys", "init")["keys"]
    assert len({row["key"] for row in made}) == 2
    assert all(Path(row["file"]).stat().st_mode & 0o077 == 0 for row in made)
    trust = answer("keys", "trust", *(row["public_file"] for row in made))
    assert (trust["serial"], trust["threshold"]) == (1, 2)
    assert trust["keys"] == [row["key"] for row in made]
    assert read_trust(world.folder / TRUST, world.keys)[1].threshold == 2
    refused(cairn("keys", "init"), "keys_exist", "release-1.key")
    refused(cairn("keys", "trust", public(ALICE)), "keys_exist", "rotate")


def test_no_verb_prints_a_secret(world, cairn):
    shown = cairn("keys", "init").output
    for path in (world.folder / "keys").glob("*.key"):
        assert path.read_text().strip() not in shown


def test_a_stolen_key_is_rotated_out(world, cairn, answer):
    answer("keys", "trust", public(ALICE), public(BOB))
    rotated = answer("keys", "rotate", "--remove", public(BOB), "--add", public(CAROL))
    assert (rotated["serial"], rotated["threshold"]) == (2, 2)
    trust = read_trust(world.folder / TRUST, world.keys)[1]
    assert trust.keys == (bytes(ALICE.verify_key), bytes(CAROL.verify_key))
    again = cairn("keys", "rotate", "--remove", public(BOB))
    refused(again, "release_refused", "does not count anyway")
    refused(cairn("keys", "rotate", "--remove", public(CAROL)), "release_refused", "2 of 1")
    assert read_trust(world.folder / TRUST, world.keys)[1].serial == 2
    alone = answer("keys", "rotate", "--remove", public(CAROL), "--threshold", "1")
    assert (alone["serial"], alone["threshold"]) == (3, 1)


def test_trust_is_made_where_the_root_key_is(world, cairn, answer, tmp_path):
    """On another machine: the genesis, the statements and root.key; no database, no other key."""
    elsewhere = tmp_path / "vault"
    elsewhere.mkdir()
    for name in ("genesis.cbor", "statements.cbor"):
        (elsewhere / name).write_bytes((world.folder / name).read_bytes())
    root = elsewhere / "root.key"
    (world.keys.keys_folder / "root.key").rename(root)
    refused(cairn("keys", "trust", public(ALICE)), "keys_missing", "root.key", exit_code=3)
    done = CliRunner().invoke(
        main,
        [
            *("release", "keys", "trust", public(ALICE), public(BOB), "--data", str(elsewhere)),
            *("--root-key", str(root), "--output", str(world.folder / TRUST)),
        ],
    )
    assert done.exit_code == 0, done.output
    assert read_trust(world.folder / TRUST, world.keys)[1].serial == 1


# ---- folders


@pytest.mark.slow
def test_from_the_sources_to_the_boards(world, cairn, answer, tmp_path, repo_root):
    (world.folder / TRUST).write_bytes(world.trust())
    sources = ("--source", str(tmp_path / "firmware"))
    shutil.copytree(repo_root / "firmware", sources[1])
    one_kind = ("--architecture", "bytecode", *sources)
    made = answer("build", *one_kind)
    assert (made["counter"], made["signed_by"], made["threshold"]) == (1, [], 2)
    folder = made["folder"]
    again = answer("build", *one_kind, "--output", "again")
    assert again["index_sha256"] == made["index_sha256"]
    refused(cairn("build", "--output", folder), "release_refused", "holds something already")
    refused(cairn("publish", folder), "release_refused", "0 of 2 keys")
    for number, key in enumerate((ALICE, BOB), 1):
        path = keyfile(tmp_path, key, f"{number}.key")
        signed = answer("sign", folder, "--key", str(path), "--rebuild", *sources)
        assert len(signed["signed_by"]) == number
    assert answer("show", folder) == signed
    assert answer("publish", folder) == {
        "counter": 1,
        "version": made["version"],
        "done": "published",
        "announced": False,
    }
    assert answer("build", *one_kind)["counter"] == 2
    release = read_release(Path(folder))
    assert "main.py" not in {file.name for file in release.programs["bytecode"].manifest.files}


@pytest.mark.slow
def test_a_signer_who_builds_it_again_is_not_deceived(world, cairn, tmp_path):
    """A release whose one file has one byte that the sources do not give."""
    (world.folder / TRUST).write_bytes(world.trust())
    assert cairn("build", "--architecture", "bytecode", "--output", "r").exit_code == 0
    from gateway.device.board_image import firmware_version
    from gateway.shell.release_folder import make_release

    good = read_release(Path("r"))
    files = {
        file.name: good.files[file.sha256] for file in good.programs["bytecode"].manifest.files
    }
    files["application.mpy"] = files["application.mpy"][:-1] + b"!"
    bad = make_release(
        {"bytecode": files}, counter=1, version=firmware_version(), trust=world.trust()
    )
    write_release(Path("bad"), bad)
    path = keyfile(tmp_path, ALICE, "alice.key")
    refused(
        cairn("sign", "bad", "--key", str(path), "--rebuild"), "release_refused", "for bytecode"
    )
    assert read_release(Path("bad")).kids() == ()


def test_what_is_no_architecture_is_asked_wrongly(world, cairn):
    (world.folder / TRUST).write_bytes(world.trust())
    done = cairn("build", "--architecture", "z80")
    assert done.exit_code == 2
    assert "xtensawin" in done.stderr


def test_a_key_that_is_not_trusted_signs_nothing(world, cairn, tmp_path):
    write_release(tmp_path / "r", world.unsigned())
    path = keyfile(tmp_path, CAROL, "carol.key")
    refused(cairn("sign", "r", "--key", str(path)), "release_refused", "may not sign")
    path.chmod(0o644)
    refused(cairn("sign", "r", "--key", str(path)), "keys_readable", "can be read by other")


def test_what_is_withdrawn_was_meant(world, cairn, answer):
    publish(world.folder, world.release(3), world.keys, START)
    refused(cairn("withdraw", "3"), "consent_missing", "--yes", exit_code=2)
    refused(cairn("withdraw", "4", "--yes"), "release_missing", "No release 4", exit_code=2)
    assert answer("withdraw", "3", "--yes")["done"] == "withdrawn"
    assert "release 3 (0.3.0)" in cairn("status").stdout


# ---- status


def fill(world) -> None:
    """A station in every state."""
    gateway = open_gateway(world.keys)
    for number, text in HELLOS.items():
        station = SigningStation(number, world.keys.network_id)
        # An older hello says nothing any more.
        for said in ("cairn 0.0.1 r1", text):
            arrival = Arrival(None, station.hello(START, said))
            assert gateway.deliver([arrival], START)[0].verdict is Verdict.OK
    gateway.close()


def expected(world) -> dict[str, str]:
    return {
        device_name(SigningStation(number, world.keys.network_id).device): state
        for number, state in STATES.items()
    }


def test_status_without_stations(cairn, answer):
    assert "nothing" in cairn("status").stdout
    empty = answer("status")
    assert (empty["announced"], empty["stations"]) == (None, [])


def test_status_says_where_every_station_is(world, cairn, answer):
    for counter in (3, 4):
        publish(world.folder, world.release(counter), world.keys, START + counter)
    fill(world)
    found = answer("status", exit_code=1)
    assert {row["device"]: row["state"] for row in found["stations"]} == expected(world)
    assert found["counts"] == {"current": 1, "waiting": 3, "failed": 1, "ahead": 1, "by_cable": 2}
    assert (found["announced"]["counter"], found["announced"]["published_ms"]) == (4, START + 4)
    failed = found["stations"][0]
    assert (failed["state"], failed["counter"], failed["failed"]) == ("failed", 3, 4)
    table = cairn("status")
    assert table.exit_code == 1
    assert "release 4 (0.4.0), since 2024-10-04 00:00:00" in table.stdout
    for device in expected(world):
        assert device in table.stdout


def test_status_beside_a_running_gateway(world, answer):
    publish(world.folder, world.release(4), world.keys, START)
    fill(world)
    alone = answer("status", exit_code=1)
    child = GatewayChild(world.folder, "--clock", "driven")
    child.start()
    try:
        beside = answer("status", exit_code=1)
    finally:
        child.stop()
    assert beside == alone


def test_without_an_announced_release_nobody_waits(world, answer):
    publish(world.folder, world.release(4), world.keys, START)
    fill(world)
    answer("withdraw", "4", "--yes")
    found = answer("status")
    assert found["announced"] is None
    states = {row["firmware"]: row["state"] for row in found["stations"]}
    assert states["cairn 0.1.0 r0"] == "current"
    assert states["cairn 0.4.0 r4"] == "ahead"
    assert found["counts"]["failed"] == 0
