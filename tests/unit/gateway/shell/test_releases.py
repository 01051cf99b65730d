"""Releases as folders: built, signed, published whole or not at all, withdrawn."""

import json
import shutil
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.core.ids import device_id
from gateway.core.releases import Accepted, Refusal, Standing, judge, parse_index
from gateway.shell import bundle_file, release_folder
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import create_network
from gateway.shell.release_folder import make_release, read_release, signed_by, write_release
from gateway.shell.release_keys import (
    TRUST,
    make_keys,
    make_trust,
    read_key,
    read_public_key,
    read_trust,
)
from gateway.shell.releases import (
    FOLDER,
    PUBLISHED,
    Shelf,
    announced,
    announcement,
    publish,
    published,
    withdraw,
)
from tests.unit.gateway.release_kit import ALICE, BOB, CAROL, START, programs, release_world


@pytest.fixture
def world(tmp_path: Path):
    return release_world(tmp_path / "data")


def fault_of(code: Code, word: str, run, *args, **named) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        run(*args, **named)
    assert caught.value.code == code
    assert word in f"{caught.value.what} {caught.value.why}"
    return caught.value


def publish_now(world, release, now_ms: int = START):
    return publish(world.folder, release, world.keys, now_ms)


# ---- keys and trust


def test_keys_are_made_once_and_for_their_owner_only(tmp_path):
    one, two = make_keys(tmp_path / "keys", 2)
    assert one.path.stat().st_mode & 0o777 == 0o600
    assert bytes(read_key(one.path).verify_key) == one.public_key
    assert read_public_key(str(one.public)) == read_public_key(one.public_key.hex())
    assert one.public_key != two.public_key
    assert one.path.read_text().strip() != one.public.read_text().strip()
    fault_of(Code.KEYS_EXIST, "release-1.key", make_keys, tmp_path / "keys", 2)
    two.path.unlink()
    before = one.path.read_bytes()
    fault_of(Code.KEYS_EXIST, "release-1.key", make_keys, tmp_path / "keys", 2)
    assert not two.path.exists()
    assert one.path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "zz", "00" * 32, "01" + "00" * 31, "ab" * 31])
def test_what_is_no_key_is_not_trusted(text):
    fault_of(Code.RELEASE_REFUSED, "no public key", read_public_key, text)


def test_a_trust_document_is_of_its_network_alone(world, tmp_path):
    path = tmp_path / "trust.cbor"
    path.write_bytes(world.trust(serial=4))
    data, trust = read_trust(path, world.keys)
    assert (data, trust.serial, trust.threshold) == (path.read_bytes(), 4, 2)
    other = create_network(tmp_path / "other", "other", simulated=False, epoch_zero_ms=START)
    fault_of(Code.RELEASE_REFUSED, "none of this network", read_trust, path, other)
    fault_of(Code.RELEASE_MISSING, "absent", read_trust, tmp_path / "absent", world.keys)
    path.write_bytes(b"")
    fault_of(Code.RELEASE_REFUSED, "malformed", read_trust, path, world.keys)


@pytest.mark.parametrize(
    "keys, threshold, word",
    [
        ([ALICE, ALICE], 2, "twice"),
        ([ALICE], 2, "2 of 1"),
        ([ALICE], 0, "0 of 1"),
        ([], 1, "1 of"),
    ],
)
def test_a_trust_document_that_no_board_takes_is_not_made(world, keys, threshold, word):
    public = [bytes(key.verify_key) for key in keys]
    fault_of(
        Code.RELEASE_REFUSED,
        word,
        make_trust,
        world.keys,
        world.root(),
        public,
        threshold=threshold,
        serial=1,
    )


def test_another_root_key_makes_no_trust(world):
    public = [bytes(ALICE.verify_key)]
    named = {"threshold": 1, "serial": 1}
    fault_of(Code.RELEASE_REFUSED, "another network", make_trust, world.keys, BOB, public, **named)


# ---- folders


def test_a_release_is_read_as_it_was_written(world, tmp_path):
    release = world.release(3)
    write_release(tmp_path / "out", release)
    assert read_release(tmp_path / "out") == release
    assert release.kids() == tuple(sorted(device_id(bytes(k.verify_key)) for k in (ALICE, BOB)))
    for architecture, data in release.bundles().items():
        judged = judge(
            data,
            Standing(architecture, running=2),
            world.keys.network_id,
            world.keys.genesis.root_key,
        )
        assert isinstance(judged, Accepted)


def test_the_same_program_gives_the_same_bytes(world):
    assert world.release(3).index() == world.release(3).index()
    rows = parse_index(world.release(3).index())
    assert not isinstance(rows, Refusal)
    assert [row.architecture for row in rows] == ["bytecode", "xtensawin"]


def test_a_second_signature_of_a_key_takes_the_place_of_the_first(world):
    once = world.release(3, signers=(ALICE,))
    assert signed_by(once, ALICE, world.keys) == once
    fault_of(Code.RELEASE_REFUSED, "may not sign", signed_by, once, CAROL, world.keys)


def test_whatever_is_changed_in_a_folder_is_found(world, tmp_path):
    """Every byte of every file in it, one after the other."""
    folder = tmp_path / "out"
    write_release(folder, world.release(3))
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        whole = path.read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 1}:
            spoiled = bytearray(whole)
            spoiled[place] ^= 1
            path.write_bytes(spoiled)
            with pytest.raises(OperatorFault) as caught:
                read_release(folder)
            assert caught.value.code == Code.RELEASE_DAMAGED
        path.unlink()
        fault_of(Code.RELEASE_DAMAGED, path.name, read_release, folder)
        path.write_bytes(whole)
    read_release(folder)


def test_architectures_of_two_builds_do_not_mix(world, tmp_path):
    one, two = world.release(3), world.release(4)
    mixed = replace(one, programs={**one.programs, "xtensawin": two.programs["xtensawin"]})
    mixed = replace(mixed, files={**one.files, **two.files})
    write_release(tmp_path / "out", mixed)
    fault_of(Code.RELEASE_DAMAGED, "differ in counter", read_release, tmp_path / "out")


@pytest.mark.parametrize(
    "changed, word",
    [
        ({"version": "two words"}, "two words"),
        ({"version": "v" * 25}, "cannot be shown"),
        ({"counter": 0}, "counter 0"),
        ({"programs": {"bytecode": {"other.mpy": b""}}}, "application.mpy"),
        ({"programs": {"bytecode": {"application.mpy": b"", "main.py": b""}}}, "main.py"),
        ({"programs": {"bytecode": {"application.mpy": bytes(262_145)}}}, "larger"),
    ],
)
def test_what_no_board_takes_is_not_built(world, changed, word):
    good = {"programs": programs(1), "counter": 1, "version": "0.1.0"}
    made = {**good, **changed}
    fault_of(
        Code.RELEASE_REFUSED, word, make_release, made.pop("programs"), **made, trust=world.trust()
    )


# ---- publishing


def test_a_version_that_no_station_can_say_is_not_published(world, monkeypatch):
    with monkeypatch.context() as other_tool:
        other_tool.setattr(release_folder, "check_version", lambda *_: None)
        made = make_release(programs(1), counter=1, version="two words", trust=world.trust())
    for key in (ALICE, BOB):
        made = signed_by(made, key, world.keys)
    fault_of(Code.RELEASE_REFUSED, "two words", publish_now, world, made)
    assert announcement(world.folder) is None


def test_what_is_published_is_served(world):
    release = world.release(3)
    assert announcement(world.folder) is None
    made = publish_now(world, release, START + 5)
    assert (made.counter, made.version, made.published_ms) == (3, "0.3.0", START + 5)
    assert announced(world.folder) == made
    assert announcement(world.folder) == (sha256(release.index()).digest(), 3)
    shelf = Shelf(world.folder)
    assert shelf.document(3, "index") == release.index()
    assert shelf.document(3, "bytecode") == release.bundles()["bytecode"]
    for digest, data in release.files.items():
        assert shelf.file(digest.hex()) == data


@pytest.mark.parametrize(
    "name", ["files", "absent", "../3/index", "published.json", "index.part", "", "."]
)
def test_nothing_but_its_documents_is_served(world, name):
    publish_now(world, world.release(3))
    assert Shelf(world.folder).document(3, name) is None
    assert Shelf(world.folder).document(4, "index") is None


@pytest.mark.parametrize("digest", ["00" * 32, "../index", "", "../../keys/root.key"])
def test_no_file_but_those_of_a_manifest_is_served(world, digest):
    publish_now(world, world.release(3))
    secret = world.folder / FOLDER / "3" / "files" / ("00" * 32)
    secret.write_bytes(b"of nobody")
    assert Shelf(world.folder).file(digest) is None


@pytest.mark.parametrize("signers", [(), (ALICE,)])
def test_too_few_signatures_are_refused(world, signers):
    release = world.release(3, signers=signers)
    fault_of(Code.RELEASE_REFUSED, f"{len(signers)} of 2", publish_now, world, release)
    assert published(world.folder) == ()


def test_one_architecture_that_a_key_did_not_sign_is_enough_to_refuse(world):
    whole, part = world.release(3), world.release(3, signers=(BOB,))
    mixed = replace(whole, programs={**whole.programs, "xtensawin": part.programs["xtensawin"]})
    fault_of(Code.RELEASE_REFUSED, "1 of 2 keys for xtensawin", publish_now, world, mixed)


def test_a_signature_that_does_not_hold_is_refused(world):
    release = world.release(3)
    program = release.programs["bytecode"]
    first, *others = program.bundle.signatures
    spoiled = program.bundle._replace(signatures=(first._replace(signature=bytes(64)), *others))
    programs_ = {**release.programs, "bytecode": replace(program, bundle=spoiled)}
    fault_of(
        Code.RELEASE_REFUSED, "not valid", publish_now, world, replace(release, programs=programs_)
    )


def test_counters_only_rise(world):
    publish_now(world, world.release(3))
    for counter in (1, 2):
        fault_of(Code.RELEASE_REFUSED, "not above 3", publish_now, world, world.release(counter))
    other = world.release(3, text=b"of other bytes")
    fault_of(Code.RELEASE_REFUSED, "not above 3", publish_now, world, other)
    # The same one again is no other release: it changes nothing.
    assert publish_now(world, world.release(3), START + 9).published_ms == START
    assert publish_now(world, world.release(4)).counter == 4
    assert [one.counter for one in published(world.folder)] == [3, 4]


def test_a_release_of_another_network_is_refused(world, tmp_path):
    other = create_network(tmp_path / "other", "other", simulated=False, epoch_zero_ms=START)
    release = world.release(3)
    with pytest.raises(OperatorFault) as caught:
        publish(other.folder, release, other, START)
    assert caught.value.code == Code.RELEASE_REFUSED
    assert published(other.folder) == ()


def test_after_a_rotation_the_old_keys_publish_nothing_more(world):
    """A stolen key signs well, and its trust document is as genuine as ever: only older."""
    publish_now(world, world.release(3))
    rotated = world.trust((ALICE, CAROL), serial=2)
    publish_now(world, world.release(4, (ALICE, CAROL), rotated))
    stolen = world.release(5, (ALICE, BOB))
    fault_of(Code.RELEASE_REFUSED, "trust document 1, and 2", publish_now, world, stolen)


def test_a_newer_trust_document_counts_from_the_moment_it_lies_there(world):
    publish_now(world, world.release(3))
    (world.folder / TRUST).write_bytes(world.trust((ALICE, CAROL), serial=2))
    fault_of(Code.RELEASE_REFUSED, "and 2 is known", publish_now, world, world.release(4))


def test_what_is_half_copied_is_not_published(world, monkeypatch):
    """The power goes at any of its writes: nothing is announced, and the next try succeeds."""
    release = world.release(3)
    replaced = Path.replace
    left = 0

    def failing(path: Path, target):
        nonlocal left
        if left == 0:
            raise OSError(28, "No space left on device")
        left -= 1
        return replaced(path, target)

    writes = len(release.files) + len(release.programs) + 2
    for number in range(writes):
        shutil.rmtree(world.folder / FOLDER, ignore_errors=True)
        left = number
        with monkeypatch.context() as patch:
            patch.setattr(bundle_file.Path, "replace", failing)
            fault_of(Code.FILE_UNWRITABLE, "No space left", publish_now, world, release)
        assert announced(world.folder) is None
        assert Shelf(world.folder).document(3, "index") is None
    assert publish_now(world, release).counter == 3


def test_who_publishes_at_the_same_time_waits(world):
    """Whoever comes second sees the first one's release: neither is lost, counters rise."""
    releases = [world.release(counter) for counter in range(3, 9)]
    outcomes: list[str] = []

    def run(release) -> None:
        try:
            publish_now(world, release)
            outcomes.append("published")
        except OperatorFault as fault:
            outcomes.append(fault.code)

    threads = [threading.Thread(target=run, args=(release,)) for release in releases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counters = [one.counter for one in published(world.folder)]
    assert counters == sorted(set(counters))
    assert counters[-1] == 8
    assert outcomes.count("published") == len(counters)
    assert set(outcomes) <= {"published", Code.RELEASE_REFUSED}


def test_a_withdrawn_release_is_gone_and_its_counter_too(world):
    publish_now(world, world.release(3))
    publish_now(world, world.release(4))
    shelf = Shelf(world.folder)
    only_in_4 = set(world.release(4).files) - set(world.release(3).files)
    assert all(shelf.file(digest.hex()) for digest in only_in_4)
    gone = withdraw(world.folder, 4, START + 7)
    assert withdraw(world.folder, 4, START + 9) == gone
    assert gone.withdrawn_ms == START + 7
    assert announcement(world.folder) == (sha256(world.release(3).index()).digest(), 3)
    assert shelf.document(4, "index") is None
    assert not any(shelf.file(digest.hex()) for digest in only_in_4)
    assert all(shelf.file(digest.hex()) for digest in world.release(3).files)
    fault_of(Code.RELEASE_REFUSED, "not above 4", publish_now, world, world.release(4))
    withdraw(world.folder, 3, START + 10)
    assert announcement(world.folder) == (bytes(32), 0)
    fault_of(Code.RELEASE_MISSING, "No release 9", withdraw, world.folder, 9, START)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "{}x", '[{"counter": 1}]', "[null]", "\x00", "7"]
)
def test_a_damaged_list_is_a_fault_and_no_empty_list(world, text):
    publish_now(world, world.release(3))
    (world.folder / FOLDER / PUBLISHED).write_text(text)
    fault_of(Code.RELEASE_DAMAGED, PUBLISHED, published, world.folder)


def test_the_list_says_what_it_says(world):
    made = publish_now(world, world.release(3))
    (row,) = json.loads((world.folder / FOLDER / PUBLISHED).read_text())
    assert row["index_sha256"] == made.index_sha256
    assert row["architectures"] == ["bytecode", "xtensawin"]
    assert (row["trust_serial"], row["withdrawn_ms"]) == (1, None)
