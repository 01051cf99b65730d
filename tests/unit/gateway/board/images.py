"""Official images for the flasher's pure parts, piece by piece, so that a test can leave a piece
out or break it. The pieces themselves are those of tests/board/official_image.py.
"""

from dataclasses import dataclass, field
from hashlib import sha256

from tests.board.official_image import CHIPS, ROWS, VFS_ROW, firmware_image, partition_table

CHIP_IDS = {chip: facts[0] for chip, facts in CHIPS.items()}
BOOT = {chip: facts[1] for chip, facts in CHIPS.items()}
FLASH_4M = 4 << 20

NVS, PHY, FACTORY = USUAL = ROWS
VFS = VFS_ROW
OTA = (
    ("nvs", 1, 2, 0x9000, 0x4000),
    ("otadata", 1, 0, 0xD000, 0x2000),
    PHY,
    ("ota_0", 0, 0x10, 0x10000, 0x180000),
    ("ota_1", 0, 0x11, 0x190000, 0x180000),
)
BANNER = b"MicroPython v1.29.0 on 2026-08-25; Generic ESP32 module"


def esp_image(chip_id, content, *, flash_code=2):
    """One segment, for any chip and any size of flash."""
    made = firmware_image("esp32", [(0x3F400020, content + b"\0" * (-len(content) % 4))])
    body = bytearray(made[:-32])
    body[3] = flash_code << 4
    body[12:14] = chip_id.to_bytes(2, "little")
    return bytes(body) + sha256(body).digest()


def table(rows, *, checksum=True):
    made = partition_table(rows)
    return made if checksum else made[: 32 * len(rows)].ljust(len(made), b"\xff")


@dataclass
class Pieces:
    """What an image is made of; `merged` puts it together as MicroPython's makeimg.py does."""

    chip: str = "esp32"
    rows: tuple = USUAL
    table_offset: int = 0x8000
    app_at: int = 0x10000
    app: bytes = b""
    boot: bytes = b""
    table: bytes = b""
    more: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self):
        chip_id = CHIP_IDS[self.chip]
        self.boot = self.boot or esp_image(chip_id, b"second stage bootloader" * 40)
        self.app = self.app or esp_image(chip_id, BANNER + bytes(range(256)) * 300)
        self.table = self.table or table(self.rows)

    def merged(self):
        start = BOOT[self.chip]
        placed = {start: self.boot, self.table_offset: self.table, self.app_at: self.app}
        placed |= self.more
        image = bytearray()
        for offset, data in sorted(placed.items()):
            assert offset >= start + len(image)
            image += b"\xff" * (offset - start - len(image)) + data
        return bytes(image)
