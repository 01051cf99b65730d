"""The radios of an ESP32: ESP-NOW in the chip, and a LoRa modem if one is wired to it.

Made by equip(), because the region and the duty class decide what there is. Not run on hardware.

The blob "lora" of esp32_store: [chip (1261, 1262, 1276 to 1279), SPI number, SCK, MOSI, MISO, CS,
RESET, interrupt (DIO1 of an SX126x, DIO0 of an SX127x), BUSY (SX126x), TCXO in mV (0: a crystal)];
255 is a pin that is not connected. The driver is micropython-lib's: mip install lora-async and
lora-sx126x or lora-sx127x.
"""

import time

from .. import cbor, regions, wire  # noqa: TID252 - inside cairn imports are relative
from . import esp32_store
from .frame_queue import FrameQueue

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

    from ..config import Config  # noqa: TID252
    from .base import Board
    from .esp32_wifi import Wifi

_NO_PIN = 255
_NO_MODEM = (ImportError, OSError, RuntimeError, ValueError, TypeError, cbor.CborError)


class Radios:
    """kinds: as Board.radios(). Nothing is switched on before the first frame."""

    def __init__(self, board: "Board", wifi: "Wifi", config: "Config") -> None:
        self._board = board
        self._wifi = wifi
        self._listens = config.duty[0] == wire.DUTY_MAINS
        self._frames = FrameQueue(board.event)
        self._espnow: "Any" = None
        self._driver: "Any" = None
        self._lora: "Any" = None
        if config.region:
            self._start_lora(config.region)
        self.kinds = (regions.LORA, regions.ESP_NOW) if self._lora else (regions.ESP_NOW,)

    def send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> "bool | None":
        """As Board.radio_send()."""
        if radio not in self.kinds:
            return None
        try:
            if radio == regions.LORA:
                sent: bool = self._lora.send(channel, power_cdbm, frame)
            else:
                self._start_espnow()
                sent = self._espnow.send(power_cdbm, frame)
        except (OSError, RuntimeError) as error:
            self._board.report("radio.send", str(error))
            return False
        return sent

    def listen(self, radio: int, channel: int) -> None:
        """As Board.radio_listen()."""
        if radio == regions.LORA and self._lora:
            self._lora.listen(channel)

    async def receive(self) -> "Any":
        """As Board.radio_receive()."""
        if self._listens:
            self._wifi.listen()
            self._start_espnow()
        return await self._frames.get()

    def pause(self) -> None:
        """Before Wi-Fi is switched off."""
        try:
            if self._driver is not None:
                self._driver.active(False)  # noqa: FBT003
        except OSError as error:
            self._board.report("radio.send", str(error))

    def resume(self) -> None:
        """After it is on again. Switching off has removed the peers."""
        if self._driver is not None:
            self._driver.active(True)  # noqa: FBT003
            self._espnow.add_peer()

    def _start_espnow(self) -> None:
        wlan = self._wifi.on()
        if self._espnow is not None:
            return
        import aioespnow

        from .espnow_radio import EspNowRadio

        driver = aioespnow.AIOESPNow()
        driver.active(True)  # noqa: FBT003
        self._espnow = EspNowRadio(
            board=self._board,
            espnow=driver,
            frames=self._frames,
            age_ms=age_ms,
            set_power=lambda dbm: self._wifi.on().config(txpower=dbm),
            full_dbm=int(wlan.config("txpower")),
        )
        self._driver = driver
        if self._listens:
            self._board.spawn(self._espnow.run())

    def _start_lora(self, region: int) -> None:
        """Without a modem, or with one that does not answer, the station has no LoRa."""
        try:
            wired = esp32_store.get("lora")
            if not wired:
                return
            modem = make_modem(cbor.decode(wired))
        except (
            ImportError,
            OSError,
            RuntimeError,
            ValueError,
            TypeError,
            cbor.CborError,
        ) as error:
            self._board.report("radio.lora", str(error))
            return
        from .lora_radio import LoraRadio

        self._lora = LoraRadio(
            board=self._board,
            modem=modem,
            region=regions.REGIONS[region],
            listens=self._listens,
            frames=self._frames,
            age_ms=age_ms,
        )
        self._board.spawn(self._lora.run())


def age_ms(stamp: int) -> int:
    """How long ago a time.ticks_ms() was, or one of ESP-NOW's, which do not wrap at its 30 bits:
    ticks_diff() takes what is no small integer for one, without a word.
    """
    # MicroPython's documentation finds the highest number of its counter in this way.
    most: int = time.ticks_add(0, -1)  # type: ignore[type-var]
    return time.ticks_diff(time.ticks_ms(), stamp & most)


def make_modem(wired: "Any") -> "Any":
    """The AsyncModem that the blob "lora" describes."""
    import lora
    from machine import SPI

    chip, spi_number, sck, mosi, miso, cs, reset, interrupt, busy, tcxo_mv = wired
    spi = SPI(spi_number, baudrate=2_000_000, sck=_pin(sck), mosi=_pin(mosi), miso=_pin(miso))
    common = {"spi": spi, "cs": _pin(cs), "reset": _pin(reset)}
    if chip in (1261, 1262):
        tcxo = tcxo_mv or None
        kind = lora.AsyncSX1261 if chip == 1261 else lora.AsyncSX1262
        return kind(busy=_pin(busy), dio1=_pin(interrupt), dio3_tcxo_millivolts=tcxo, **common)
    if 1276 <= chip <= 1279:
        return lora.AsyncSX1276(dio0=_pin(interrupt), **common)
    raise ValueError("no driver for a modem SX%d" % chip)


def _pin(number: int) -> "Any":
    if number == _NO_PIN:
        return None
    from machine import Pin

    return Pin(number)
