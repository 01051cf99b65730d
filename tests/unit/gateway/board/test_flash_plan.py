"""What is written onto which board, and what is refused because a key would be lost."""

from dataclasses import replace

import pytest

from gateway.board.flash_plan import (
    Found,
    architecture_for,
    check_board,
    check_image,
    make_plan,
)
from gateway.device.official import Partition, read_table, split
from gateway.shell.errors import Code, OperatorFault
from tests.unit.gateway.board.images import FLASH_4M, OTA, USUAL, Pieces, esp_image, table

FILES = b"littlefs" * 1024
OFFICIAL = split(Pieces().merged())
BLANK = Found("esp32", FLASH_4M, None, keyed=False, provisioned=False)
SET_UP = Found("esp32", FLASH_4M, read_table(table(USUAL)), keyed=True, provisioned=True)


def _refused(official, found, code):
    with pytest.raises(OperatorFault) as raised:
        make_plan(official, found, FILES)
    assert raised.value.code == code
    return raised.value


@pytest.mark.parametrize("found", [BLANK, SET_UP])
def test_all_pieces_are_written_in_order_and_none_in_nvs(found):
    plan = make_plan(OFFICIAL, found, FILES)
    assert [(one.name, one.offset) for one in plan.ranges] == [
        ("bootloader", 0x1000),
        ("partition table", 0x8000),
        ("factory", 0x10000),
        ("file system", 0x200000),
    ]
    assert plan.protected == (Partition("nvs", 1, 2, 0x9000, 0x6000),)
    assert plan.size == sum(len(one.data) for one in plan.ranges)


def test_a_board_that_was_set_up_keeps_its_layout():
    moved = split(Pieces("esp32", OTA).merged())
    assert "0x9000 to 0xf000" in _refused(moved, SET_UP, Code.NVS_IN_THE_WAY).why
    # A demo that came with the board has an NVS too, and nobody needs it.
    assert make_plan(moved, replace(SET_UP, keyed=False), FILES)
    # With the same layout it may be written.
    same = replace(SET_UP, partitions=read_table(table(OTA)))
    assert make_plan(moved, same, FILES)


def test_a_second_nvs_of_a_board_that_was_set_up_counts_too():
    rows = (*USUAL, ("nvs2", 1, 2, 0x300000, 0x10000))
    _refused(OFFICIAL, replace(SET_UP, partitions=read_table(table(rows))), Code.NVS_IN_THE_WAY)


def test_a_table_that_was_cut_in_half_is_no_reason_to_refuse():
    assert make_plan(OFFICIAL, replace(SET_UP, partitions=None), FILES)


def test_no_range_may_reach_into_nvs_even_on_a_blank_board():
    """A bootloader that grew over the table, say: split() would refuse it, this does as well."""
    first, *rest = OFFICIAL.ranges
    grown = replace(OFFICIAL, ranges=(first._replace(data=bytes(0x8000)), *rest))
    assert make_plan(grown, BLANK, FILES)
    grown = replace(OFFICIAL, ranges=(first._replace(data=bytes(0x8001)), *rest))
    # One byte more, and the sector that is erased for it is the first one of NVS.
    assert "bootloader" in _refused(grown, BLANK, Code.NVS_IN_THE_WAY).why


def test_another_chip_and_a_smaller_flash_are_refused():
    _refused(OFFICIAL, replace(BLANK, chip="esp32c3"), Code.IMAGE_OTHER_CHIP)
    _refused(OFFICIAL, replace(BLANK, flash_bytes=2 << 20), Code.FLASH_TOO_SMALL)
    eight = split(Pieces(boot=esp_image(0, bytes(64), flash_code=3)).merged())
    _refused(eight, BLANK, Code.FLASH_TOO_SMALL)
    assert make_plan(eight, replace(BLANK, flash_bytes=8 << 20), FILES)


def test_the_file_system_takes_what_the_chip_really_has():
    space = check_image(OFFICIAL, replace(BLANK, flash_bytes=16 << 20))
    assert (space.offset, space.end) == (0x200000, 16 << 20)


def test_a_file_system_that_is_too_large_is_a_bug():
    with pytest.raises(ValueError, match="larger"):
        make_plan(OFFICIAL, BLANK, bytes(0x200001))


def test_the_board_must_be_the_one_that_was_asked_for():
    check_board("esp32s3", None)
    check_board("esp32s3", "esp32s3")
    for chip, asked in (("esp32s3", "esp32"), ("ESP32-S2", None), ("ESP8266", "esp32")):
        with pytest.raises(OperatorFault) as raised:
            check_board(chip, asked)
        assert raised.value.code == Code.CHIP_WRONG


def test_each_chip_has_its_machine_code():
    chips = ("esp32", "esp32s3", "esp32c3")
    assert [architecture_for(chip) for chip in chips] == ["xtensawin", "xtensawin", "rv32imc"]


def test_a_key_without_a_table_is_looked_for_where_it_was_found():
    moved = split(Pieces("esp32", OTA).merged())
    _refused(moved, replace(SET_UP, partitions=None), Code.NVS_IN_THE_WAY)
    bare = read_table(table((("factory", 0, 0, 0x10000, 0x1F0000),)))
    _refused(moved, replace(SET_UP, partitions=bare), Code.NVS_IN_THE_WAY)
