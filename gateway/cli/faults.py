"""Faults at the edge: one form for those of the core and of the shell, and their exit codes."""

from gateway.cli.output import FOUND, UNREACHABLE, USAGE
from gateway.shell.errors import Code, OperatorFault

_USAGE = {
    Code.BATCH_INVALID,
    Code.CHIP_WRONG,
    Code.CLOCK_NOT_DRIVABLE,
    Code.CONFIG_INVALID,
    Code.CONFIG_UNKNOWN,
    Code.CONFIG_UNREADABLE,
    Code.CONSENT_MISSING,
    Code.EPOCH_MISSING,
    Code.EPOCH_NOT_DUE,
    Code.FLASH_TOO_SMALL,
    Code.FLEET_UNFIT,
    Code.IMAGE_OTHER_CHIP,
    Code.IMAGE_TOO_LARGE,
    Code.LABELS_EMPTY,
    Code.NETWORK_SEEDED,
    Code.OWNER_INVALID,
    Code.OWNER_UNKNOWN,
    Code.PLACE_INVALID,
    Code.PORT_MANY,
    Code.RELEASE_MISSING,
    Code.SENSOR_INVALID,
    Code.STATION_INVALID,
    Code.STATION_UNKNOWN,
    Code.WIFI_INVALID,
    Code.WIFI_MISSING,
}
_UNREACHABLE = {
    Code.API_UNREACHABLE,
    Code.BENCH_IMPOSSIBLE,
    Code.CHIP_SILENT,
    Code.DOWNLOAD_FAILED,
    Code.FILE_UNREADABLE,
    Code.FILE_UNWRITABLE,
    Code.FIRMWARE_MISSING,
    Code.FLEET_HALTED,
    Code.GATEWAY_ABSENT,
    Code.GATEWAY_RUNNING,
    Code.IMPROV_SILENT,
    Code.INTERPRETER_MISSING,
    Code.KEYS_MISSING,
    Code.LISTEN_FAILED,
    Code.NETWORK_MISSING,
    Code.PORT_ABSENT,
    Code.PORT_BUSY,
    Code.PORT_DENIED,
    Code.PORT_LOST,
    Code.REPL_SILENT,
    Code.STORE_BUSY,
    Code.STORE_MISSING,
    Code.STORE_UNWRITABLE,
    Code.TLS_UNUSABLE,
    Code.TOOLS_MISSING,
}


def as_fault(error: Exception) -> OperatorFault | None:
    """Give an exception as an operator fault; None if it is a bug."""
    if isinstance(error, OperatorFault):
        return error
    from gateway.core.faults import CoreFault

    if isinstance(error, CoreFault):
        return OperatorFault(f"{error.what}.", f"{error.why}.", f"{error.do}.", error.code)
    return None


def exit_code(fault: OperatorFault) -> int:
    """2 for what the caller asked wrongly, 3 for what cannot be reached, else 1."""
    if fault.code in _USAGE:
        return USAGE
    return UNREACHABLE if fault.code in _UNREACHABLE else FOUND
