"""What a person is told when flashing fails."""

from gateway.shell.errors import Code, OperatorFault

WRITTEN = (
    "Part of the flash was written already; the board's key and configuration were not touched, "
    "and running the same command again is safe."
)
NOT_WRITTEN = "Nothing was written."
# After these the first question is in what state the board is.
_TELL = {Code.PORT_LOST, Code.CHIP_SILENT, Code.FLASH_FAILED, Code.FLASH_MISMATCH, Code.CHIP_WRONG}


def as_written(fault: OperatorFault, *, written: bool) -> OperatorFault:
    """The same fault, and whether the flash was written before it."""
    if fault.code not in _TELL:
        return fault
    said = WRITTEN if written else NOT_WRITTEN
    return OperatorFault(fault.what, f"{fault.why} {said}", fault.do, fault.code)


def chip_silent(port: str, why: str | None) -> OperatorFault:
    return OperatorFault(
        f"No bootloader answers on {port}.",
        why or "The chip runs its program, the board is not on this port, or it has no power.",
        "Try again, and when asked hold BOOT, press and release RESET (EN), release BOOT. "
        "A board without these buttons: connect IO0 (on S3: GPIO0, on C3: GPIO9) to GND while it "
        "is plugged in.",
        Code.CHIP_SILENT,
    )


def gave_up(reason: Exception, *, differs: bool) -> OperatorFault:
    """The last and slowest try failed too."""
    if differs:
        return OperatorFault(
            "The flash does not hold what was written.",
            f"Written again and again, it reads back differently: {reason}.",
            "The flash chip is worn out or its supply is too weak: try another cable and USB "
            "socket, then another board.",
            Code.FLASH_MISMATCH,
        )
    return OperatorFault(
        "The line to the board is too bad.",
        f"Even at the lowest rate it failed: {reason}.",
        "Use a short cable straight into the computer, unplug what hangs on the board's pins, and "
        "try again.",
        Code.FLASH_FAILED,
    )


def nvs_changed(name: str) -> OperatorFault:
    return OperatorFault(
        "What had to be kept has changed.",
        f"{name} has another MD5 than before, although nothing was written there.",
        "Do not flash it again. `cairn board doctor` says whether the board still has its key; if "
        "not, set it up as a new one. Please report this.",
        Code.NVS_CHANGED,
    )


def consent_missing() -> OperatorFault:
    return OperatorFault(
        "The board was not flashed.",
        "It was set up before, and messages that it has not sent yet would be lost.",
        "Let it send them first, or repeat with --yes.",
        Code.CONSENT_MISSING,
    )


def other_board(before: str, now: str) -> OperatorFault:
    return OperatorFault(
        "Another board answers.",
        f"It began with {before}, and now {now} is on the port.",
        "Leave one board plugged in until it is done, and start again.",
        Code.CHIP_WRONG,
    )
