"""Operator faults: what went wrong outside the program, and what a person can do about it.

Hostile input never becomes one of these (it gets a verdict), and neither does a bug. The codes
are stable; docs/troubleshooting.md has one section for each.
"""

from enum import StrEnum


class Code(StrEnum):
    """Every fault that the shell raises. A code never changes its meaning."""

    API_REFUSED = "api_refused"
    API_UNREACHABLE = "api_unreachable"
    BENCH_IMPOSSIBLE = "bench_impossible"
    BOARDS_FAILED = "boards_failed"
    CLOCK_NOT_DRIVABLE = "clock_not_drivable"
    CONFIG_INVALID = "config_invalid"
    CONFIG_UNKNOWN = "config_unknown"
    CONFIG_UNREADABLE = "config_unreadable"
    DATA_NOT_OURS = "data_not_ours"
    EPOCH_DAMAGED = "epoch_damaged"
    EPOCH_MISSING = "epoch_missing"
    EPOCH_NOT_DUE = "epoch_not_due"
    EVENT_REFUSED = "event_refused"
    FILE_UNREADABLE = "file_unreadable"
    FILE_UNWRITABLE = "file_unwritable"
    FIRMWARE_MISSING = "firmware_missing"
    FIRMWARE_REFUSED = "firmware_refused"
    FLEET_HALTED = "fleet_halted"
    FLEET_UNFIT = "fleet_unfit"
    GATEWAY_ABSENT = "gateway_absent"
    GATEWAY_ENDED = "gateway_ended"
    GATEWAY_RUNNING = "gateway_running"
    IMAGE_DAMAGED = "image_damaged"
    IMAGE_TOO_LARGE = "image_too_large"
    INGEST_STOPPED = "ingest_stopped"
    INTERPRETER_MISSING = "interpreter_missing"
    KEYS_DAMAGED = "keys_damaged"
    KEYS_EXIST = "keys_exist"
    KEYS_MISSING = "keys_missing"
    KEYS_READABLE = "keys_readable"
    LISTEN_FAILED = "listen_failed"
    NETWORK_DAMAGED = "network_damaged"
    NETWORK_MISSING = "network_missing"
    NETWORK_SEEDED = "network_seeded"
    OWNER_UNKNOWN = "owner_unknown"
    READINGS_INVALID = "readings_invalid"
    RULES_UNKNOWN = "rules_unknown"
    SCENARIO_INVALID = "scenario_invalid"
    STATION_UNKNOWN = "station_unknown"
    STORE_BUSY = "store_busy"
    STORE_CORRUPT = "store_corrupt"
    STORE_MISSING = "store_missing"
    STORE_NEWER = "store_newer"
    STORE_OTHER_NETWORK = "store_other_network"
    STORE_UNWRITABLE = "store_unwritable"
    TLS_UNUSABLE = "tls_unusable"
    TOOLS_MISSING = "tools_missing"


class OperatorFault(Exception):  # noqa: N818 - a fault of the surroundings, not an error of ours
    """What happened, why, and what to do, for a person; `code` for a program and the manual.

    code is a plain text where the core named it.
    """

    def __init__(self, what: str, why: str, do: str, code: Code | str) -> None:
        super().__init__(f"{what} {why} {do} ({code})")
        self.what = what
        self.why = why
        self.do = do
        self.code = code
