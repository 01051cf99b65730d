"""What differs between the chips, as far as a ROM tells it over the serial line."""

from dataclasses import dataclass

_DETECT_REGISTER = 0x4000_1000
_BAUD = 115_200
_CRYSTAL_HZ = 40_000_000


@dataclass(frozen=True)
class SpiRegisters:
    """Addresses in the controller of the flash: command, user, user2, first data word."""

    command: int
    user2: int
    word0: int


@dataclass(frozen=True)
class Model:
    """chip_id: the number in image headers, which newer ROMs tell. registers: what is read there,
    where it is not 0; mac_registers: the MAC's low word, then its high half-word.
    """

    name: str
    chip_id: int
    banner: str
    boots: str
    downloads: str
    bootloader_offset: int
    tells_security: bool
    spi: SpiRegisters
    mac_registers: tuple[int, int]
    clock_register: int
    registers: tuple[tuple[int, int], ...]
    machine_text: str
    hertz_max: int = 240_000_000

    def read(self, address: int, mac: bytes) -> int:
        """A register that nobody has written."""
        low, high = self.mac_registers
        if address == low:
            return int.from_bytes(mac[2:], "big")
        if address == high:
            return int.from_bytes(mac[:2], "big")
        if address == self.clock_register:
            # esptool works the crystal out from it and from the rate that it talks at.
            return _CRYSTAL_HZ // _BAUD
        return dict(self.registers).get(address, 0)


_ESP32 = Model(
    name="esp32",
    chip_id=0,
    banner="ets Jul 29 2019 12:21:46",
    boots="boot:0x13 (SPI_FAST_FLASH_BOOT)",
    downloads="boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))",
    bootloader_offset=0x1000,
    tells_security=False,
    spi=SpiRegisters(0x3FF4_2000, 0x3FF4_2024, 0x3FF4_2080),
    mac_registers=(0x3FF5_A004, 0x3FF5_A008),
    clock_register=0x3FF4_0014,
    # The chip's magic; eFuse words 3 and 5 and a date: revision v3.1 of a D0WD; eFuse word 4 and
    # a calibration of the slow clock, from which esptool works out a crystal of 40 MHz.
    registers=(
        (_DETECT_REGISTER, 0x00F0_1D83),
        (0x3FF5_A00C, 1 << 15 | 1 << 9),
        (0x3FF5_A010, 100),
        (0x3FF5_A014, 1 << 24 | 1 << 20),
        (0x3FF5_F06C, 1024 << 7),
        (0x3FF6_607C, 1 << 31),
    ),
    machine_text="Generic ESP32 module with ESP32",
)
_ESP32_S3 = Model(
    name="esp32s3",
    chip_id=9,
    banner="ESP-ROM:esp32s3-20210327",
    boots="boot:0x8 (SPI_FAST_FLASH_BOOT)",
    downloads="boot:0x0 (DOWNLOAD(USB/UART0))",
    bootloader_offset=0,
    tells_security=True,
    spi=SpiRegisters(0x6000_2000, 0x6000_2020, 0x6000_2058),
    mac_registers=(0x6000_7044, 0x6000_7048),
    clock_register=0x6000_0014,
    # Word 3 of block 1: wafer v0.2.
    registers=((_DETECT_REGISTER, 0x0000_0009), (0x6000_7050, 2 << 18)),
    machine_text="Generic ESP32S3 module with ESP32S3",
)
_ESP32_C3 = Model(
    name="esp32c3",
    chip_id=5,
    banner="ESP-ROM:esp32c3-api1-20210207",
    boots="boot:0xc (SPI_FAST_FLASH_BOOT)",
    downloads="boot:0x4 (DOWNLOAD(USB/UART0/1))",
    bootloader_offset=0,
    tells_security=True,
    spi=SpiRegisters(0x6000_2000, 0x6000_2020, 0x6000_2058),
    mac_registers=(0x6000_8844, 0x6000_8848),
    clock_register=0x6000_0014,
    # Word 3 of block 1: wafer v0.4.
    registers=((_DETECT_REGISTER, 0x1B31_506F), (0x6000_8850, 4 << 18)),
    machine_text="Generic ESP32C3 module with ESP32C3",
    hertz_max=160_000_000,
)
MODELS = {model.name: model for model in (_ESP32, _ESP32_S3, _ESP32_C3)}
