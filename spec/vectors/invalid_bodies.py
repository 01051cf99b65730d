"""Validly signed messages whose bodies break a rule of their kind: all `bad_body`."""

from typing import Any

from craft import cbor
from signing import DAY, DEVICE, OWNER, STRANGER, Case, bad_payload, message, sign1
from valid_cases import CELL_9, DECLARED, EVM_OWNER, HELLO, KEY_OWNER, PLACE, SLOT, TAG

TOP = 1 << 53
RESOLUTION_8 = 0x88283082A9FFFFF
RESOLUTION_9_UNUSED_DIGIT = CELL_9 | 0x7 << 18


def cases() -> list[Case]:
    """Every body violation."""
    named = [*_readings(), *_hellos(), *_radio(), *_chain(), *_claims()]
    return [
        bad_payload(name, comment, message(body, kind), "bad_body")
        for name, comment, kind, body in named
    ]


def _readings() -> list[tuple[str, str, int, Any]]:
    one = [1, 0, 0, [5, 6]]

    def columns(*given: Any) -> list[Any]:
        return [0, [1], list(given)]

    found: tuple[tuple[str, str, Any], ...] = (
        ("columns_unsorted", "", columns([2, 0, 0, [1, 1]], one)),
        ("column_twice", "", columns(one, one)),
        ("no_columns", "", columns()),
        ("columns_33", "", columns(*([n, 0, 0, [1, 1]] for n in range(33)))),
        ("sample_counts_differ", "", columns([1, 0, 0, [5, 6, 7]])),
        ("samples_257", "", [0, [1] * 256, [[1, 0, 0, [0] * 257]]]),
        ("interval_zero", "", [0, [0], [one]]),
        ("interval_falls_to_zero", "", [0, [5, -5], [[1, 0, 0, [5, 6, 7]]]]),
        ("step_as_text", "", [0, ["5"], [one]]),
        ("t0_negative", "", [-1, [1], [one]]),
        ("ages_overflow", "Ages beyond 2^53.", [TOP - 1, [1], [one]]),
        ("exponent_7", "", columns([1, 0, 7, [5, 6]])),
        ("exponent_minus_10", "", columns([1, 0, -10, [5, 6]])),
        ("value_overflow", "2^53 + 1 by a sum.", columns([1, 0, 0, [TOP, 1]])),
        ("value_underflow", "-2^53 - 1 by a sum.", columns([1, 0, 0, [-TOP, -1]])),
        ("value_as_text", "", columns([1, 0, 0, ["5", 6]])),
        ("fault_on_value", "", columns([1, 0, 0, [5, None], [[0, 1]]])),
        ("fault_index_high", "", columns([1, 0, 0, [5, None], [[2, 1]]])),
        ("fault_twice", "", columns([1, 0, 0, [5, None], [[1, 1], [1, 2]]])),
        ("fault_list_empty", "It is left out instead.", columns([1, 0, 0, [5, None], []])),
        ("fault_code_0", "", columns([1, 0, 0, [5, None], [[1, 0]]])),
        ("fault_code_10", "", columns([1, 0, 0, [5, None], [[1, 10]]])),
        ("readings_four_items", "", [0, [1], [one], 0]),
        ("readings_null", "", None),
    )
    return [(name, comment, 1, body) for name, comment, body in found]


def _hellos() -> list[tuple[str, str, int, Any]]:
    def hello(index: int, item: Any) -> list[Any]:
        return [*HELLO[:index], item, *HELLO[index + 1 :]]

    many = [[n, 0, 60_000] for n in range(33)]
    found: tuple[tuple[str, str, Any], ...] = (
        ("firmware_long", "33 bytes in 32 characters.", hello(1, "ä" + "x" * 31)),
        ("declared_unsorted", "", hello(2, DECLARED[::-1])),
        ("declared_none", "", hello(2, [])),
        ("declared_33", "", hello(2, many)),
        ("interval_short", "999 ms.", hello(2, [[1, 0, 999]])),
        ("interval_long", "A day and 1 ms.", hello(2, [[1, 0, 86_400_001]])),
        ("duty_unknown", "", hello(3, [2, 0, 0])),
        ("mains_with_period", "", hello(3, [0, 60_000, 0])),
        (
            "battery_phase_high",
            "The phase is not within the period.",
            hello(3, [1, 60_000, 60_000]),
        ),
        ("place_short", "", hello(4, PLACE[:31])),
        ("cell_resolution_8", "", hello(5, RESOLUTION_8)),
        ("cell_unused_digit", "", hello(5, RESOLUTION_9_UNUSED_DIGIT)),
        ("cell_zero", "", hello(5, 0)),
        ("antenna_one_number", "", hello(6, [215])),
    )
    return [(name, comment, 0, body) for name, comment, body in found]


def _radio() -> list[tuple[str, str, int, Any]]:
    row = [[SLOT], [TAG], [-9_850], [725], [3], [812]]
    long = [[SLOT] * 49, [TAG] * 49, *([1] * 49 for _ in range(4))]
    return [
        ("commit_short", "", 2, [DAY, bytes(31)]),
        ("beacon_none", "", 3, [DAY, []]),
        ("beacon_65", "", 3, [DAY, [[SLOT + n, 0, 0, 0] for n in range(65)]]),
        ("beacon_radio_3", "", 3, [DAY, [[SLOT, 3, 0, 0]]]),
        ("witness_none", "", 4, [DAY, 0, [], [], [], [], [], []]),
        ("witness_49", "", 4, [DAY, 0, *long]),
        ("witness_columns_differ", "", 4, [DAY, 0, *row[:5], [812, 813]]),
        ("witness_tag_short", "", 4, [DAY, 0, row[0], [TAG[:15]], *row[2:]]),
        ("witness_rssi_null", "", 4, [DAY, 0, *row[:2], [None], *row[3:]]),
        ("reveal_long", "", 5, [DAY, bytes(33)]),
        ("status_hours_25", "", 6, [0, 0, 0, 0, 0, None, None, [DAY, 1 << 24]]),
        ("status_seven_items", "", 6, [0, 0, 0, 0, 0, None, None]),
    ]


def _chain() -> list[tuple[str, str, int, Any]]:
    return [
        ("gap_backwards", "", 7, [12, 11, 0, 0]),
        ("gap_of_itself", "It covers its own seq.", 7, [40, 42, 3, 1]),
        ("gap_from_zero", "", 7, [0, 41, 0, 0]),
        ("gap_count_high", "", 7, [40, 41, 3, 1]),
        ("gap_reason_3", "", 7, [40, 41, 0, 3]),
        ("clock_without_source", "", 8, [2, 0, 0, 0]),
        ("clock_boot_zero", "", 8, [0, 0, 1, 0]),
        ("config_result_3", "", 9, [bytes(16), 3]),
    ]


def _claims() -> list[tuple[str, str, int, Any]]:
    proof = cbor([DEVICE.kid, OWNER.public])
    good = sign1(proof, OWNER, "owner")
    other_device = sign1(cbor([STRANGER.kid, OWNER.public]), OWNER, "owner")
    return [
        ("claim_owner_short", "", 10, [EVM_OWNER[:19], 0, None]),
        ("claim_scheme_3", "", 10, [EVM_OWNER, 3, None]),
        ("claim_proof_unasked", "Scheme 0 has no proof.", 10, [EVM_OWNER, 0, good]),
        ("claim_proof_missing", "Scheme 1 has one.", 10, [KEY_OWNER, 1, None]),
        ("claim_proof_other_owner", "", 10, [EVM_OWNER, 1, good]),
        ("claim_proof_other_device", "", 10, [KEY_OWNER, 1, other_device]),
        ("claim_proof_role", "Signed as a device.", 10, [KEY_OWNER, 1, sign1(proof, OWNER)]),
        (
            "claim_proof_key",
            "By another key.",
            10,
            [KEY_OWNER, 1, sign1(proof, STRANGER, "owner")],
        ),
    ]
