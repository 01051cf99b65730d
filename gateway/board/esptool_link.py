"""A chip in its ROM's bootloader, spoken to through esptool, which is used as a library here.

Its errors are told apart here and nowhere else: what a slower line may cure, what nothing does.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gateway.board.esptool_quiet import Told, quiet
from gateway.board.ports import BAUD, tools_missing
from gateway.device.official import Range
from gateway.shell.errors import Code, OperatorFault

if TYPE_CHECKING:
    from serial import SerialBase

CHIPS = {"ESP32": "esp32", "ESP32-S3": "esp32s3", "ESP32-C3": "esp32c3"}

# esptool tells these apart by text alone.
_UNKNOWN_CHIP = "Failed to autodetect chip type"
_DIFFERS = ("MD5 of file does not match", "the written flash region is empty")
_OTHER_CHIP = ("requires chip revision", " an ESP32", "Use --force to flash anyway")
_STUB_REFUSED = "Failed to enter RAM download mode"
# The chip answers and this computer hears it, but not the other way round.
_DEAF = "TX path seems to be down"
_RUNS = "Wrong boot mode detected"


class Silent(Exception):  # noqa: N818 - becomes an OperatorFault, or a try at a lower rate
    """No bootloader answered."""


class Garbled(Exception):  # noqa: N818 - as above
    """The bootloader answered wrongly, or no longer: a slower line may help."""


class Differs(Garbled):
    """The flash does not hold what was written."""


class Link:
    """A chip that answers. name: as `--board` has it, or esptool's name of one we do not know."""

    def __init__(self, esp: Any) -> None:
        self._esp = _once(esp)
        self.name: str = CHIPS.get(esp.CHIP_NAME, esp.CHIP_NAME)
        self.mac = ""
        self.flash_bytes = 0

    def look(self, *, fast: bool, baud: int) -> None:
        """Find out what chip it is, and go on at a higher rate and with esptool's own loader.

        fast: try that loader; a ROM that refuses it goes on alone, more slowly.
        """
        from esptool.cmds import attach_flash, detect_flash_size, run_stub
        from esptool.util import flash_size_bytes

        with _spoken():
            self._refuse_locked()
            self.mac = ":".join(f"{byte:02x}" for byte in self._esp.read_mac())
            if fast:
                self._esp = _once(_with_stub(self._esp, run_stub))
            if baud != BAUD:
                self._esp.change_baud(baud)
                # At a rate that does not work this is what fails.
                self._esp.read_reg(self._esp.CHIP_DETECT_MAGIC_REG_ADDR)
            attach_flash(self._esp)
            self.flash_bytes = flash_size_bytes(detect_flash_size(self._esp)) or 0
            if not self.flash_bytes:
                raise Garbled("the chip does not tell the size of its flash")
            self._esp.flash_set_parameters(self.flash_bytes)

    def read(self, offset: int, size: int) -> bytes:
        with _spoken():
            return bytes(self._esp.read_flash(offset, size))

    def md5(self, offset: int, size: int) -> str:
        """The MD5 of a region, which the chip computes."""
        with _spoken():
            return str(self._esp.flash_md5sum(offset, size))

    def write(self, what: Range, told: Told) -> None:
        """Write a range, if the flash does not hold it already, and verify it."""
        from esptool.cmds import write_flash

        size = len(what.data)

        def progressed(done: int, total: int) -> None:
            # esptool counts what goes over the line, which is compressed.
            told(done * size // max(total, 1), size)

        with _spoken(progressed):
            write_flash(self._esp, [(what.offset, what.data)], compress=True, skip_flashed=True)
        told(size, size)

    def restart(self) -> None:
        """Start what was written, by the reset line."""
        with _spoken():
            self._esp.hard_reset()

    def _refuse_locked(self) -> None:
        esp = self._esp
        reason = None
        if esp.secure_download_mode:
            reason = "Its secure download mode lets nobody read or check its flash"
        elif esp.get_flash_encryption_enabled():
            reason = "Its flash is encrypted: what we write would not start"
        elif esp.get_secure_boot_enabled():
            reason = "Its secure boot starts only what its owner signed"
        if reason is not None:
            raise OperatorFault(
                "The chip is locked.",
                f"{reason}.",
                "Take another board: this is burnt into the chip and cannot be undone.",
                Code.CHIP_LOCKED,
            )


def connect(connection: "SerialBase", *, reset: bool, attempts: int) -> Link:
    """Wake the bootloader. reset: by the modem lines; else somebody holds BOOT."""
    with _spoken(failing=Silent):
        from esptool.cmds import detect_chip
        from esptool.loader import DEFAULT_TIMEOUT

        # esptool closes a port on which nobody answered.
        if not connection.is_open:
            connection.open()
        # Every change of it is a round trip over RFC 2217, and esptool changes what differs.
        connection.timeout = DEFAULT_TIMEOUT
        mode = "default-reset" if reset else "no-reset"
        return Link(detect_chip(connection, BAUD, mode, False, attempts))  # noqa: FBT003


def silent_why(silent: Silent) -> str | None:
    """What esptool found out about a chip that does not answer; None if nothing."""
    text = str(silent)
    if _DEAF in text:
        return "The chip speaks and does not hear: the line from this computer to it is broken."
    if _RUNS in text:
        return "It restarted, and started its program instead of its bootloader."
    return None


def _once(esp: Any) -> Any:
    """Whether to wait for a port that went away is for the caller, not for esptool."""
    esp.WRITE_FLASH_ATTEMPTS = 1
    return esp


def _with_stub(esp: Any, run_stub: Callable[[Any], Any]) -> Any:
    from esptool.util import FatalError, UnsupportedCommandError

    try:
        return run_stub(esp)
    except UnsupportedCommandError:
        return esp
    except FatalError as error:
        if _STUB_REFUSED not in str(error):
            raise
        return esp


@contextmanager
def _spoken(told: Told | None = None, failing: type[Exception] = Garbled) -> Iterator[None]:
    """Turn esptool's errors into ours. Those of the port go on as they are."""
    with quiet(told):
        try:
            from esptool.util import FatalError
            from serial import SerialTimeoutException
        except ImportError as error:
            raise tools_missing("esptool") from error
        try:
            yield
        except SerialTimeoutException as error:
            raise failing(str(error)) from error
        # A reply that is too short or too strange breaks esptool itself.
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise failing(f"an answer that makes no sense: {error}") from error
        except FatalError as error:
            raise _told_apart(str(error), failing) from error


def _told_apart(text: str, failing: type[Exception]) -> Exception:
    first = text.splitlines()[0] if text else "no reason given"
    if _UNKNOWN_CHIP in text:
        return OperatorFault(
            "The chip is not known.",
            f"{first}",
            "Cairn runs on ESP32, ESP32-S3 and ESP32-C3.",
            Code.CHIP_WRONG,
        )
    if any(part in text for part in _DIFFERS):
        return Differs(first)
    if any(part in text for part in _OTHER_CHIP) and failing is Garbled:
        return OperatorFault(
            "The image is for another chip, or for a newer one.",
            f"{first}",
            "Take the image of your board.",
            Code.IMAGE_OTHER_CHIP,
        )
    return failing(first)
