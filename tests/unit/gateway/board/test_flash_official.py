"""Taking an official image apart: what it consists of, and what is refused as none."""

import pytest

from gateway.device.official import read_table, split
from gateway.shell.errors import Code, OperatorFault
from tests.unit.gateway.board.images import (
    BANNER,
    BOOT,
    CHIP_IDS,
    FACTORY,
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


@pytest.mark.parametrize("chip", ["esp32", "esp32s3", "esp32c3"])
def test_an_image_is_bootloader_table_and_application(chip):
    pieces = Pieces(chip)
    official = split(pieces.merged())
    assert (official.chip, official.version) == (chip, "v1.29.0")
    assert official.flash_bytes == FLASH_4M
    assert [tuple(one) for one in official.ranges] == [
        ("bootloader", BOOT[chip], pieces.boot),
        ("partition table", 0x8000, pieces.table),
        ("factory", 0x10000, pieces.app),
    ]
    assert [one.name for one in official.protected] == ["nvs"]


def test_no_range_reaches_into_nvs_though_the_image_is_padded_over_it():
    image = Pieces().merged()
    nvs = split(image).protected[0]
    assert image[nvs.offset - 0x1000 : nvs.end - 0x1000] == b"\xff" * nvs.size
    assert all(one.end <= nvs.offset or one.offset >= nvs.end for one in split(image).ranges)


def test_a_table_elsewhere_with_other_places_is_followed():
    rows = (
        ("nvs", 1, 2, 0x12000, 0x8000),
        ("keys", 1, 4, 0x1A000, 0x1000),
        ("program", 0, 0, 0x30000, 0x100000),
        ("vfs", 1, 0x81, 0x140000, 0x80000),
    )
    pieces = Pieces("esp32s3", rows, table_offset=0x10000, app_at=0x30000)
    official = split(pieces.merged())
    assert official.table_offset == 0x10000
    assert [(one.name, one.offset) for one in official.ranges] == [
        ("bootloader", 0),
        ("partition table", 0x10000),
        ("program", 0x30000),
    ]
    assert [one.name for one in official.protected] == ["nvs", "keys"]
    assert official.file_system(FLASH_4M).offset == 0x140000


def test_an_ota_layout_boots_the_first_application():
    official = split(Pieces("esp32", OTA).merged())
    otadata = next(one for one in official.ranges if one.name == "otadata")
    assert (otadata.offset, otadata.data) == (0xD000, b"\xff" * 0x2000)
    assert "ota_0" in [one.name for one in official.ranges]
    assert "ota_1" not in [one.name for one in official.ranges]


def test_the_file_system_is_its_row_or_what_is_left_behind_the_last_one():
    with_row = split(Pieces("esp32", (*USUAL, VFS)).merged())
    assert with_row.file_system(8 << 20).size == 0x200000
    without = split(Pieces().merged())
    assert (without.file_system(FLASH_4M).offset, without.file_system(FLASH_4M).size) == (
        0x200000,
        0x200000,
    )
    assert without.file_system(8 << 20).size == 0x600000
    assert without.file_system(2 << 20).size == 0


def test_an_esp32_image_merged_from_zero_is_the_same():
    image = Pieces().merged()
    assert split(b"\xff" * 0x1000 + image) == split(image)


def test_what_an_image_has_in_another_partition_is_written_too():
    rows = (*USUAL, ("romfs", 1, 0x8F, 0x200000, 0x10000))
    pieces = Pieces(rows=rows, more={0x200000: b"\xd2\xcd\x31" + bytes(61)})
    assert [one.name for one in split(pieces.merged()).ranges][-1] == "romfs"


def test_an_image_that_does_not_name_its_version_has_none():
    app = esp_image(0, b"MicroPython" + bytes(64))
    assert split(Pieces(app=app).merged()).version == ""


def _flipped(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


BASE = Pieces()
REFUSED = {
    "otadata for more flash": Pieces(
        "esp32", (*USUAL, ("otadata", 1, 0, 0x400000, 0xFFB00000))
    ).merged(),
    "data for more flash": Pieces("esp32", (*USUAL, ("x", 1, 9, 0x400000, 0xFFB00000))).merged(),
    "nothing": b"",
    "erased flash": b"\xff" * 0x20000,
    "a file system": b"\x02\x00\x00\x00littlefs" + bytes(0x20000),
    "a single application": esp_image(0, BANNER + bytes(0x9000)),
    "a bootloader alone": BASE.boot,
    "cut short": BASE.merged()[:-40],
    "table without a checksum": Pieces(table=table(USUAL, checksum=False)).merged(),
    "table with a wrong checksum": Pieces(table=_flipped(BASE.table, 12)).merged(),
    "bootloader with a wrong checksum": Pieces(boot=_flipped(BASE.boot, 60)).merged(),
    "application with a wrong checksum": Pieces(app=_flipped(BASE.app, 900)).merged(),
    "application with a wrong hash": Pieces(app=_flipped(BASE.app, len(BASE.app) - 1)).merged(),
    "application of another chip": Pieces(app=esp_image(5, BANNER + bytes(64))).merged(),
    "no NVS": Pieces(rows=(PHY, FACTORY)).merged(),
    "no application": Pieces(app=b"\xff" * 16).merged(),
    "application of an unknown kind": Pieces(
        rows=(NVS, PHY, ("test", 0, 0x20, 0x10000, 0x1F0000))
    ).merged(),
    "rows that overlap": Pieces(rows=(NVS, ("phy", 1, 1, 0xE000, 0x1000), FACTORY)).merged(),
    "a row over the table": Pieces(rows=(("nvs", 1, 2, 0x8000, 0x6000), FACTORY)).merged(),
    "a crooked row": Pieces(rows=(NVS, ("phy", 1, 1, 0xF100, 0x1000), FACTORY)).merged(),
    "an empty row": Pieces(rows=(NVS, ("phy", 1, 1, 0xF000, 0), FACTORY)).merged(),
    "a copy of a board": Pieces(more={0xA000: b"cairn\0"}).merged(),
    "TinyUF2": Pieces(rows=(*USUAL, ("ffat", 1, 0x81, 0x200000, 0x200000))).merged(),
    "not MicroPython": Pieces(app=esp_image(0, b"ESPHome" + bytes(64))).merged(),
    "no segments": Pieces(boot=b"\xe9\x00" + BASE.boot[2:]).merged(),
    "too many segments": Pieces(boot=b"\xe9\x11" + BASE.boot[2:]).merged(),
    "a segment longer than all": Pieces(boot=BASE.boot[:28] + b"\xff\xff\xff\x7f").merged(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_official_image_is_refused(name):
    with pytest.raises(OperatorFault) as raised:
        split(REFUSED[name])
    assert raised.value.code == Code.IMAGE_NOT_OFFICIAL
    assert raised.value.why.endswith(".")


def test_a_single_application_is_called_that():
    with pytest.raises(OperatorFault, match="single application"):
        split(REFUSED["a single application"])


@pytest.mark.parametrize("chip_id, name", [(2, "ESP32-S2"), (13, "ESP32-C6"), (99, "chip 99")])
def test_an_image_for_a_chip_that_is_not_ours_is_refused(chip_id, name):
    boot = esp_image(chip_id, bytes(64))
    with pytest.raises(OperatorFault) as raised:
        split(Pieces("esp32s3", boot=boot).merged())
    assert raised.value.code == Code.IMAGE_OTHER_CHIP
    assert name in raised.value.why


def test_a_table_is_read_only_whole():
    whole = table(USUAL)
    assert [one.name for one in read_table(whole)] == ["nvs", "phy_init", "factory"]
    for size in range(0, 4 * 32, 8):
        assert read_table(whole[:size]) is None
    assert read_table(whole[: 4 * 32]) is not None
    assert read_table(b"\xff" * 0xC00) is None
    assert read_table(table(())) is None


def test_every_bit_of_a_table_counts():
    whole = table(USUAL)
    for place in range(4 * 32):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            assert read_table(bytes(damaged)) is None


def test_chips_are_those_that_the_tests_know():
    from gateway.device.official import CHIPS

    assert {name: (chip_id, start) for chip_id, (name, start) in CHIPS.items()} == {
        name: (CHIP_IDS[name], BOOT[name]) for name in CHIP_IDS
    }


@pytest.mark.parametrize("name", ["otadata for more flash", "data for more flash"])
def test_a_table_for_more_flash_than_there_is_costs_no_memory(name):
    with pytest.raises(OperatorFault) as raised:
        split(REFUSED[name])
    assert raised.value.code == Code.IMAGE_NOT_OFFICIAL
    assert "more flash" in raised.value.why
