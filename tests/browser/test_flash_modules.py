"""The page's own modules against the gateway's: images, plans, places and states are the same."""

import base64
import hashlib
import random
from dataclasses import asdict, replace

import pytest

from gateway.board.flash_plan import Found, architecture_for, check_image, make_plan
from gateway.board.flash_states import MOVES, SENTENCES
from gateway.board.place import COARSE, FINE, Place
from gateway.device.official import Official, Partition, read_table, split
from gateway.shell.errors import Code, OperatorFault
from tests.unit.gateway.board.images import (
    FLASH_4M,
    NVS,
    OTA,
    PHY,
    USUAL,
    VFS,
    Pieces,
    esp_image,
    table,
)
from tests.unit.gateway.board.test_flash_official import REFUSED

FILES = b"littlefs" * 1024


def _without_hash(image: bytes) -> bytes:
    """The last byte of its header says whether a SHA-256 follows."""
    return image[:23] + b"\0" + image[24:-32]


# What tests/unit/gateway/board/test_flash_official.py takes apart, and two flashes that are none.
TAKEN = {
    "esp32": Pieces(),
    "esp32s3": Pieces("esp32s3"),
    "esp32c3": Pieces("esp32c3"),
    "elsewhere": Pieces(
        "esp32s3",
        (
            ("nvs", 1, 2, 0x12000, 0x8000),
            ("keys", 1, 4, 0x1A000, 0x1000),
            ("program", 0, 0, 0x30000, 0x100000),
            ("vfs", 1, 0x81, 0x140000, 0x80000),
        ),
        table_offset=0x10000,
        app_at=0x30000,
    ),
    "ota": Pieces("esp32", OTA),
    "with a row for the file system": Pieces("esp32", (*USUAL, VFS)),
    "with a ROM file system": Pieces(
        rows=(*USUAL, ("romfs", 1, 0x8F, 0x200000, 0x10000)),
        more={0x200000: b"\xd2\xcd\x31" + bytes(61)},
    ),
    "without a version": Pieces(app=esp_image(0, b"MicroPython" + bytes(64))),
    "a name that is no ASCII": Pieces(rows=(*USUAL, ("dat\xe4", 1, 0x40, 0x200000, 0x1000))),
    "not hashed": Pieces(boot=_without_hash(esp_image(0, bytes(64)))),
    "8 MB": Pieces(boot=esp_image(0, bytes(64), flash_code=3)),
    "of another chip": Pieces("esp32s3", boot=esp_image(13, bytes(64))),
    "of a chip that nobody knows": Pieces("esp32s3", boot=esp_image(99, bytes(64))),
}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _row(row: Partition) -> dict:
    return {
        "name": row.name,
        "kind": row.kind,
        "subtype": row.subtype,
        "offset": row.offset,
        "size": row.size,
    }


def _range(one) -> dict:
    return {"name": one.name, "offset": one.offset, "data": b64(one.data)}


def _official(found: Official, flash_bytes: int) -> dict:
    return {
        "chip": found.chip,
        "version": found.version,
        "flashBytes": found.flash_bytes,
        "tableOffset": found.table_offset,
        "partitions": [_row(one) for one in found.partitions],
        "ranges": [_range(one) for one in found.ranges],
        "kept": [_row(one) for one in found.protected],
        "space": _row(found.file_system(flash_bytes)),
    }


def _told(work):
    try:
        return {"ok": work()}
    except OperatorFault as fault:
        return {"code": str(fault.code), "why": fault.why}


def test_images_are_taken_apart_as_the_gateway_does(modules):
    cases = {name: pieces.merged() for name, pieces in TAKEN.items()} | REFUSED
    cases["merged from 0"] = b"\xff" * 0x1000 + Pieces().merged()
    found = modules(
        "split", {"images": [b64(one) for one in cases.values()], "flashBytes": FLASH_4M}
    )
    for (name, image), one in zip(cases.items(), found, strict=True):
        assert one == _told(lambda image=image: _official(split(image), FLASH_4M)), name
    taken = [name for name, one in zip(cases, found, strict=True) if "ok" in one]
    assert len(taken) == len(TAKEN) - 2 + 1, "every refusal is one, and nothing else is refused"


@pytest.mark.parametrize("seed", range(4))
def test_damaged_images_are_refused_alike(modules, seed):
    rng = random.Random(seed)
    whole = Pieces(app=esp_image(0, b"MicroPython v1.29.0" + bytes(300))).merged()
    damaged = []
    for _ in range(60):
        image = bytearray(whole)
        # Headers and tables are where a flipped bit does something.
        place = rng.choice(
            [rng.randrange(64), 0x7000 + rng.randrange(160), rng.randrange(len(image))]
        )
        image[place] ^= 1 << rng.randrange(8)
        damaged.append(bytes(image[: rng.choice([len(image), rng.randrange(len(image))])]))
    found = modules("split", {"images": [b64(one) for one in damaged], "flashBytes": FLASH_4M})
    for image, one in zip(damaged, found, strict=True):
        assert one == _told(lambda image=image: _official(split(image), FLASH_4M))


def test_tables_are_read_alike(modules):
    whole = table(USUAL)
    cases = [
        whole,
        whole[:128],
        whole[:127],
        b"",
        b"\xff" * 0xC00,
        table(()),
        table(USUAL, checksum=False),
    ]
    cases += [
        bytes([*whole[:place], whole[place] ^ 4, *whole[place + 1 :]]) for place in range(128)
    ]
    found = modules("tables", [b64(one) for one in cases])
    for case, rows in zip(cases, found, strict=True):
        expected = read_table(case)
        assert rows == (None if expected is None else [_row(one) for one in expected])


def _found(chip="esp32", flash_bytes=FLASH_4M, rows=None, *, keyed=False) -> Found:
    partitions = None if rows is None else read_table(table(rows))
    return Found(chip, flash_bytes, partitions, keyed=keyed, provisioned=keyed)


SET_UP = _found(rows=USUAL, keyed=True)
PLANS = {
    "a bare board": (Pieces(), _found()),
    "set up before": (Pieces(), SET_UP),
    "set up with another layout": (Pieces("esp32", OTA), SET_UP),
    "a demo with another layout": (Pieces("esp32", OTA), replace(SET_UP, keyed=False)),
    "set up, table lost": (Pieces(), replace(SET_UP, partitions=None)),
    "set up, table lost, another layout": (
        Pieces("esp32", OTA),
        replace(SET_UP, partitions=None),
    ),
    "set up, a table without NVS, another layout": (
        Pieces("esp32", OTA),
        _found(rows=(("factory", 0, 0, 0x10000, 0x1F0000),), keyed=True),
    ),
    "a second NVS": (
        Pieces(),
        _found(rows=(*USUAL, ("nvs2", 1, 2, 0x300000, 0x10000)), keyed=True),
    ),
    "another chip": (Pieces(), _found("esp32c3")),
    "2 MB of flash": (Pieces(), _found(flash_bytes=2 << 20)),
    "16 MB of flash": (Pieces(), _found(flash_bytes=16 << 20)),
    "image for 8 MB": (TAKEN["8 MB"], _found()),
    "8 MB for 8 MB": (TAKEN["8 MB"], _found(flash_bytes=8 << 20)),
    "two NVS in the image": (
        Pieces(
            rows=(NVS, PHY, ("keys", 1, 4, 0x10000, 0x1000), ("factory", 0, 0, 0x20000, 0x1E0000)),
            app_at=0x20000,
        ),
        _found(),
    ),
}


def _plan(official: Official, found: Found) -> dict:
    space = check_image(official, found)
    plan = make_plan(official, found, FILES)
    return {
        "writes": [_range(one) for one in plan.ranges],
        "kept": [_row(one) for one in plan.protected],
        "space": _row(space),
        "architecture": architecture_for(found.chip),
    }


def test_plans_are_made_and_refused_as_the_command_line_does(modules):
    asked = [
        {
            "image": b64(pieces.merged()),
            "files": b64(FILES),
            "found": {
                "chip": found.chip,
                "flashBytes": found.flash_bytes,
                "table": None
                if found.partitions is None
                else [_row(one) for one in found.partitions],
                "keyed": found.keyed,
                "provisioned": found.provisioned,
            },
        }
        for pieces, found in PLANS.values()
    ]
    outcomes = set()
    for (name, (pieces, found)), one in zip(PLANS.items(), modules("plans", asked), strict=True):
        expected = _told(lambda pieces=pieces, found=found: _plan(split(pieces.merged()), found))
        assert one.get("ok") == expected.get("ok"), name
        assert one.get("code") == expected.get("code"), name
        assert one.get("why") == expected.get("why"), name
        outcomes.add(one.get("code", "ok"))
    assert outcomes == {"ok", "nvs_in_the_way", "image_other_chip", "flash_too_small"}


def test_the_mark_of_a_board_that_was_set_up_is_found(modules):
    cases = [b"", b"cairn", b"\xffcaircairn\xff", b"cair", b"c" * 40, b"\xff" * 99 + b"cairn"]
    assert modules("marked", [b64(one) for one in cases]) == [b"cairn" in one for one in cases]


def test_md5_is_md5(modules):
    rng = random.Random(1)
    cases = [
        rng.randbytes(size) for size in (0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 4096, 70_001)
    ]
    expected = [hashlib.md5(one, usedforsecurity=False).hexdigest() for one in cases]
    assert modules("md5", [b64(one) for one in cases]) == expected


def test_states_are_those_of_the_command_line_and_then_the_way_to_a_reading(modules):
    found = modules("states")
    assert set(found["moves"]) == set(found["sentences"])
    for state, sentence in SENTENCES.items():
        if state != "done":
            assert found["sentences"][state] == sentence
            assert set(found["moves"][state]) == set(MOVES[state]), state
    # On the page a flashed board is no success.
    assert set(found["moves"]["done"]) == {"listening", "failed"}
    over = [state for state, moves in found["moves"].items() if not moves]
    assert sorted(over) == ["accepted", "failed"]
    assert all(to in found["moves"] for moves in found["moves"].values() for to in moves)


def test_an_illegal_move_is_refused(modules):
    assert modules("course", ["opening", "connecting"])[-1] == "connecting"
    with pytest.raises(AssertionError, match="illegal move: idle -> flashing"):
        modules("course", ["flashing"])


@pytest.mark.parametrize("linux", [True, False])
def test_every_fault_says_what_why_and_what_to_do(modules, linux):
    found = modules("faults", linux)
    for code, (before, part, whole) in found.items():
        assert before["what"].endswith("."), code
        assert before["do"], code
        assert all(line[-1] in ".:" or "Try again" in line for line in before["do"]), code
        said = {before["wrote"], part["wrote"], whole["wrote"]}
        assert len(said) == (1 if code == "nvs_changed" else 3), code
        assert before["again"], code
    # Only Linux asks for a group, so only there it is named.
    named = {
        code for code, (one, *_) in found.items() if any("dialout" in line for line in one["do"])
    }
    assert named == ({"port_absent", "port_busy"} if linux else set())


def test_linux_is_told_by_the_browser(modules):
    agents = {
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0": True,
        "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/156.0.0.0": True,
        "Mozilla/5.0 (Linux; Android 10; K) Chrome/156.0.0.0 Mobile": False,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/156.0.0.0": False,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/156.0.0.0": False,
    }
    assert modules("linux", list(agents)) == list(agents.values())


def test_faults_that_the_command_line_knows_have_its_codes(modules):
    """What the page alone can meet is named here, so that a new one is thought about."""
    own = {"serial_unsupported", "serial_insecure", "gateway_unreachable", "image_refused"}
    own |= {"board_silent", "wifi_refused", "reading_late", "page_bug"}
    codes = set(modules("faults"))
    assert own <= codes
    assert codes - own <= {str(code) for code in Code}


PLACES = [
    (52.520008, 13.404954, FINE),
    (-33.8567844, 151.2152967, FINE),
    (0.0, 0.0, FINE),
    (-0.0000004, -0.0000004, FINE),
    (89.9999999, -180.0, COARSE),
    (-90.0, 180.0, COARSE),
    (47.3769, 8.5417, COARSE),
]


def test_a_place_is_committed_to_as_the_command_line_does(modules):
    rng = random.Random(2)
    salts = [rng.randbytes(32) for _ in PLACES]
    asked = [
        {"lat": lat, "lon": lon, "resolution": resolution, "salt": salt.hex(), "device": None}
        for (lat, lon, resolution), salt in zip(PLACES, salts, strict=True)
    ]
    for (lat, lon, resolution), salt, one in zip(
        PLACES, salts, modules("places", asked), strict=True
    ):
        place = Place(round(lat * 1e6), round(lon * 1e6), salt, resolution)
        assert one["made"]["place_commitment"] == place.commitment.hex(), place.text
        assert one["made"]["scoring_cell"] == f"{place.cell:x}", place.text
        assert f"{one['made']['lat']},{one['made']['lon']}" == place.text


def test_the_place_file_is_one_that_the_command_line_takes(modules, tmp_path):
    from gateway.board.place import kept, place_file

    device = "h5x2exbg4yonsgxg7ipvz7nuwm"
    asked = {"lat": 52.52, "lon": 13.405, "resolution": FINE, "salt": "5a" * 32, "device": device}
    (one,) = modules("places", [asked])
    assert one["file"]["name"] == place_file(tmp_path, device).name
    path = tmp_path / one["file"]["name"]
    path.write_text(one["file"]["text"])
    found = kept(path)
    assert found is not None
    assert asdict(found) == asdict(Place(52_520_000, 13_405_000, b"\x5a" * 32, FINE))


def test_degrees_are_read_as_people_type_them(modules):
    texts = [
        "52.5",
        " 52,5 ",
        "-0.5",
        "+1",
        "90",
        "-90.0",
        "1.",
        "90.1",
        "x",
        "",
        "1e1",
        "0x5",
        "1 2",
    ]
    assert modules("typed", texts) == [52.5, 52.5, -0.5, 1, 90, -90, 1, *[None] * 6]
