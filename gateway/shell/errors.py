"""Operator faults: what went wrong outside the program, and what a person can do about it.

Hostile input never becomes one of these (it gets a verdict), and neither does a bug. The codes
are stable; docs/troubleshooting.md has one section for each.
"""

from enum import StrEnum


class Code(StrEnum):
    """Every fault that the shell raises. A code never changes its meaning."""

    API_REFUSED = "api_refused"
    API_UNREACHABLE = "api_unreachable"
    BATCH_FAILED = "batch_failed"
    BATCH_INVALID = "batch_invalid"
    BENCH_IMPOSSIBLE = "bench_impossible"
    BOARDS_FAILED = "boards_failed"
    BOARD_BLANK = "board_blank"
    BOARD_CRASHING = "board_crashing"
    BOARD_RAISED = "board_raised"
    BOARD_REFUSED = "board_refused"
    BOARD_USED = "board_used"
    BOARD_WITHOUT_CAIRN = "board_without_cairn"
    CA_UNUSABLE = "ca_unusable"
    CHIP_LOCKED = "chip_locked"
    CHIP_SILENT = "chip_silent"
    CHIP_WRONG = "chip_wrong"
    CLOCK_NOT_DRIVABLE = "clock_not_drivable"
    CONFIG_INVALID = "config_invalid"
    CONFIG_UNKNOWN = "config_unknown"
    CONFIG_UNREADABLE = "config_unreadable"
    CONSENT_MISSING = "consent_missing"
    DATA_NOT_OURS = "data_not_ours"
    DOWNLOAD_FAILED = "download_failed"
    DOWNLOAD_MISMATCH = "download_mismatch"
    EPOCH_DAMAGED = "epoch_damaged"
    EPOCH_MISSING = "epoch_missing"
    EPOCH_NOT_DUE = "epoch_not_due"
    EVENT_REFUSED = "event_refused"
    FILE_UNREADABLE = "file_unreadable"
    FILE_UNWRITABLE = "file_unwritable"
    FIRMWARE_MISSING = "firmware_missing"
    FIRMWARE_REFUSED = "firmware_refused"
    FLASH_FAILED = "flash_failed"
    FLASH_MISMATCH = "flash_mismatch"
    FLASH_TOO_SMALL = "flash_too_small"
    FLEET_HALTED = "fleet_halted"
    FLEET_UNFIT = "fleet_unfit"
    GATEWAY_ABSENT = "gateway_absent"
    GATEWAY_ENDED = "gateway_ended"
    GATEWAY_RUNNING = "gateway_running"
    IMAGE_DAMAGED = "image_damaged"
    IMAGE_NOT_OFFICIAL = "image_not_official"
    IMAGE_OTHER_CHIP = "image_other_chip"
    IMAGE_TOO_LARGE = "image_too_large"
    IMPROV_FAILED = "improv_failed"
    IMPROV_SILENT = "improv_silent"
    INGEST_STOPPED = "ingest_stopped"
    INTERPRETER_MISSING = "interpreter_missing"
    KEYS_DAMAGED = "keys_damaged"
    KEYS_EXIST = "keys_exist"
    KEYS_MISSING = "keys_missing"
    KEYS_READABLE = "keys_readable"
    LABELS_EMPTY = "labels_empty"
    LISTEN_FAILED = "listen_failed"
    NETWORK_DAMAGED = "network_damaged"
    NETWORK_MISSING = "network_missing"
    NETWORK_SEEDED = "network_seeded"
    NVS_CHANGED = "nvs_changed"
    NVS_IN_THE_WAY = "nvs_in_the_way"
    ONBOARDING_INVALID = "onboarding_invalid"
    OWNER_INVALID = "owner_invalid"
    OWNER_UNKNOWN = "owner_unknown"
    PLACE_INVALID = "place_invalid"
    PORT_ABSENT = "port_absent"
    PORT_BUSY = "port_busy"
    PORT_DENIED = "port_denied"
    PORT_LOST = "port_lost"
    PORT_MANY = "port_many"
    READINGS_INVALID = "readings_invalid"
    RELEASE_DAMAGED = "release_damaged"
    RELEASE_MISSING = "release_missing"
    RELEASE_REFUSED = "release_refused"
    REPL_REFUSED = "repl_refused"
    REPL_SILENT = "repl_silent"
    RULES_UNKNOWN = "rules_unknown"
    SCENARIO_INVALID = "scenario_invalid"
    SENSOR_INVALID = "sensor_invalid"
    STATION_INVALID = "station_invalid"
    STATION_TOO_LARGE = "station_too_large"
    STATION_UNKNOWN = "station_unknown"
    STORE_BUSY = "store_busy"
    STORE_CORRUPT = "store_corrupt"
    STORE_MISSING = "store_missing"
    STORE_NEWER = "store_newer"
    STORE_OTHER_NETWORK = "store_other_network"
    STORE_UNWRITABLE = "store_unwritable"
    TLS_UNUSABLE = "tls_unusable"
    TOOLS_MISSING = "tools_missing"
    WIFI_INVALID = "wifi_invalid"
    WIFI_MISSING = "wifi_missing"
    WIFI_NOT_CONNECTED = "wifi_not_connected"
    WIFI_PASSWORD = "wifi_password"  # noqa: S105 - a code, and no password
    WIFI_UNKNOWN = "wifi_unknown"


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
