"""Messages that must be refused, one distinct failure each."""

from typing import Any

from craft import IDENTITY, ORDER, P, Raw, add, cbor, compress, decompress, kid, torsion_point
from signing import (
    DAY,
    DEVICE,
    FIRST,
    GATEWAY,
    NETWORK,
    NOON_MS,
    OPERATOR,
    ROOT,
    STRANGER,
    Case,
    Key,
    bad,
    bad_payload,
    crooked,
    message,
    protected,
    raw,
    sig_structure,
    sign1,
)
from valid_cases import HELLO, as_raw, statement_fields

BODY = [0, [], [[1, 0, -2, [2_150]]]]
FIELDS = message(BODY)
PAYLOAD = cbor(FIELDS)
GOOD = sign1(PAYLOAD)


def cases() -> list[Case]:
    """Every invalid case but those of bodies."""
    return [
        *_bytes(),
        *_envelopes(),
        *_profile(),
        *_headers(),
        *_signatures(),
        *_keys(),
        *_documents(),
    ]


def _bytes() -> list[Case]:
    oversize = sign1(cbor(message(bytes(3_964), 11)))
    return [
        bad("empty", "No byte at all.", b"", "truncated"),
        bad("truncated", "The last byte is missing.", GOOD[:-1], "truncated"),
        bad("truncated_head", "It ends within a length.", GOOD[:26], "truncated"),
        bad("trailing_bytes", "One byte behind the message.", GOOD + b"\x00", "trailing_bytes"),
        bad("oversize", f"{len(oversize)} bytes.", oversize, "oversize"),
    ]


def _envelopes() -> list[Case]:
    key_id = DEVICE.kid
    two_kids = Raw(cbor({1: -8}).replace(b"\xa1", b"\xa3", 1) + cbor({4: key_id})[1:] * 2)
    headers = (
        ("alg_es256", "alg is -7.", cbor({1: -7, 4: key_id}), "bad_envelope"),
        ("alg_missing", "", cbor({4: key_id}), "bad_envelope"),
        ("kid_missing", "", cbor({1: -8}), "bad_envelope"),
        ("kid_short", "A kid of 8 bytes.", cbor({1: -8, 4: key_id[:8]}), "bad_envelope"),
        ("header_unsorted", "kid before alg.", cbor({4: key_id, 1: -8}), "bad_envelope"),
        (
            "header_extra",
            "A content type beside alg and kid.",
            cbor({1: -8, 3: 0, 4: key_id}),
            "bad_envelope",
        ),
        ("header_empty", "The empty protected header.", b"", "truncated"),
        ("duplicate_key", "kid twice in the protected header.", bytes(two_kids), "duplicate_key"),
        (
            "alg_non_minimal",
            "alg -8 in two bytes.",
            protected(key_id).replace(b"\x01\x27", b"\x01\x38\x07", 1),
            "non_minimal_integer",
        ),
    )
    made = [
        bad(name, comment, crooked(PAYLOAD, header=header), expect)
        for name, comment, header, expect in headers
    ]
    long_head = Raw(b"\x59" + len(PAYLOAD).to_bytes(2, "big") + PAYLOAD)
    chunks = Raw(b"\x5f" + cbor(PAYLOAD[:9]) + cbor(PAYLOAD[9:]) + b"\xff")
    open_array = b"\xd2\x9f" + GOOD[2:] + b"\xff"
    parts: tuple[tuple[str, str, dict[str, Any], str], ...] = (
        ("untagged", "No tag 18.", {"tag": b""}, "bad_envelope"),
        ("foreign_tag", "Tag 17, a COSE_Mac0.", {"tag": b"\xd1"}, "unsupported_type"),
        ("tag_twice", "Tag 18 within tag 18.", {"tag": b"\xd2\xd2"}, "unsupported_type"),
        ("five_items", "", {"more": [None]}, "bad_envelope"),
        ("unprotected_kid", "", {"unprotected": {4: DEVICE.kid}}, "bad_envelope"),
        (
            "unprotected_duplicate",
            "One key twice in the unprotected header.",
            {"unprotected": raw("a204410104" + "4102")},
            "duplicate_key",
        ),
        ("header_as_map", "Not wrapped.", {"header_item": {1: -8, 4: DEVICE.kid}}, "bad_envelope"),
        ("detached", "The payload is null.", {"payload_item": None}, "bad_envelope"),
        ("payload_as_array", "Not wrapped.", {"payload_item": FIELDS}, "bad_envelope"),
        (
            "non_minimal_length",
            "The payload's length in two bytes.",
            {"payload_item": long_head},
            "non_minimal_integer",
        ),
        ("payload_in_chunks", "", {"payload_item": chunks}, "indefinite_length"),
        ("signature_short", "63 bytes.", {"signature": GOOD[-64:-1]}, "bad_envelope"),
        (
            "envelope_too_deep",
            "Nine arrays inside each other.",
            {"payload_item": raw("81" * 8 + "80")},
            "too_deep",
        ),
    )
    made += [
        bad(name, comment, crooked(PAYLOAD, **changed), expect)
        for name, comment, changed, expect in parts
    ]
    return [*made, bad("indefinite_array", "", open_array, "indefinite_length")]


def _profile() -> list[Case]:
    """Validly signed; one item of the payload is outside the profile."""
    value = (7, 2, 0, 3, 0)
    items = (
        ("float", "A double.", "fb40a0cc0000000000", "float"),
        ("half_float", "0.0 in two bytes, which re-encodes.", "f90000", "float"),
        ("bool", "", "f5", "unsupported_type"),
        ("undefined", "", "f7", "unsupported_type"),
        ("simple_value", "", "f820", "unsupported_type"),
        ("tag_in_payload", "A tagged date.", "c11a65000000", "unsupported_type"),
        ("bignum", "2^64 by tag 2.", "c249010000000000000000", "unsupported_type"),
        ("integer_below_64_bits", "-2^63 - 1.", "3b8000000000000000", "unsupported_type"),
        ("map_in_payload", "", "a10000", "unsupported_type"),
        ("map_key_twice", "", "a200000001", "duplicate_key"),
        ("non_minimal_integer", "1 in two bytes.", "1801", "non_minimal_integer"),
        ("indefinite_text", "", "7f6161ff", "indefinite_length"),
        ("reserved_head", "Additional information 28.", "1c", "unsupported_type"),
        ("break_alone", "", "ff", "indefinite_length"),
        ("false_length", "An array of 2^64 - 1 items.", "9bffffffffffffffff", "truncated"),
        ("bad_text", "An overlong encoding.", "62c080", "bad_text"),
        ("surrogate_text", "", "63eda080", "bad_text"),
    )
    made = [
        bad_payload(name, comment, as_raw(FIELDS, value, item), expect)
        for name, comment, item, expect in items
    ]
    nested = raw("81" * 7 + "80")
    return [
        *made,
        bad_payload("too_deep", "Nine arrays inside each other.", message(nested, 15), "too_deep"),
        bad_payload(
            "float_in_unknown_kind",
            "The profile holds where nobody evaluates, too.",
            message([raw("f90000")], 11),
            "float",
        ),
    ]


def _headers() -> list[Case]:
    changed: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("gateway_kind", "Kind 16 is the gateway's.", {"kind": 16}),
        ("boot_zero", "Boots count from 1.", {"boot": 0}),
        ("boot_too_large", "", {"boot": 1 << 32}),
        ("seq_zero", "Seqs count from 1.", {"seq": 0}),
        ("seq_too_large", "", {"seq": 1 << 53}),
        ("prev_short", "15 bytes.", {"prev": bytes(15)}),
        ("time_negative", "", {"time_ms": -1}),
        ("time_too_large", "", {"time_ms": 1 << 53}),
        ("time_source_unknown", "", {"time_quality": [6, 0]}),
        ("time_quality_long", "", {"time_quality": [1, 40, 0]}),
        ("version_as_text", "", {"version": "1.0"}),
    )
    made = [
        bad_payload(name, comment, message(BODY, **change), "bad_payload")
        for name, comment, change in changed
    ]
    return [
        *made,
        bad_payload("seven_fields", "", FIELDS[:7], "bad_payload"),
        bad_payload("nine_fields", "", [*FIELDS, 0], "bad_payload"),
        bad_payload("payload_is_a_number", "", 16, "bad_payload"),
        bad_payload("payload_empty", "", Raw(b""), "truncated"),
        bad_payload("payload_trailing", "", Raw(PAYLOAD + b"\xf6"), "trailing_bytes"),
        bad_payload("unknown_major", "2.0.", message(BODY, version=32), "unknown_major"),
        bad_payload("unknown_major_zero", "0.9.", message(BODY, version=9), "unknown_major"),
        bad_payload(
            "unknown_major_shape",
            "A later major version may change the shape.",
            [32, "anything"],
            "unknown_major",
        ),
    ]


def _signatures() -> list[Case]:
    tbs = sig_structure(protected(DEVICE.kid), PAYLOAD, "device")
    good = DEVICE.sign(tbs)
    s = int.from_bytes(good[32:], "little")
    plus_order = good[:32] + (s + ORDER).to_bytes(32, "little")
    flipped = bytes([good[0] ^ 1]) + good[1:]
    position = GOOD.index(cbor(2_150)) + 2
    other_value = GOOD[:position] + bytes([GOOD[position] ^ 1]) + GOOD[position + 1 :]
    other_network = bytes([NETWORK[0] ^ 1]) + NETWORK[1:]
    hashed = crooked(PAYLOAD, signature=DEVICE.sign(kid(tbs)))
    found = (
        ("wrong_role", "Signed as a login.", sign1(PAYLOAD, DEVICE, "login")),
        ("wrong_network", "Another network.", crooked(PAYLOAD, network=other_network)),
        ("bad_signature", "One bit of R flipped.", crooked(PAYLOAD, signature=flipped)),
        ("payload_bit", "One bit of a value flipped.", other_value),
        ("s_plus_order", "S + L: malleable.", crooked(PAYLOAD, signature=plus_order)),
        ("signature_zero", "64 zero bytes.", crooked(PAYLOAD, signature=bytes(64))),
        ("prehashed", "A hash was signed, not the Sig_structure.", hashed),
        (
            "another_key",
            "Signed by a stranger under the device's kid.",
            crooked(PAYLOAD, STRANGER, header=protected(DEVICE.kid)),
        ),
    )
    made = [bad(name, comment, data, "bad_signature") for name, comment, data in found]
    unregistered = bad(
        "unregistered",
        "Readings of a device that never said hello.",
        GOOD,
        "unregistered",
        registered=False,
    )
    topic = bad(
        "topic_mismatch",
        "Published under another device's topic.",
        GOOD,
        "topic_mismatch",
        device=STRANGER.kid,
    )
    return [*made, unregistered, topic]


def _hello(name: str, comment: str, public: bytes, data: bytes, expect: str) -> Case:
    made = bad(name, comment, data, expect, registered=False)
    made.extra = {"hello_key": public.hex()}
    made.device = data[8:24]
    return made


def _keys() -> list[Case]:
    """Hellos with keys that ZIP 215 would verify signatures for."""
    torsion = torsion_point()
    mixed = compress(add(decompress(DEVICE.public) or IDENTITY, torsion))
    weak: tuple[tuple[str, str, bytes], ...] = (
        ("small_order_key", "A key of order 8: a forged signature verifies.", compress(torsion)),
        ("identity_key", "", compress(IDENTITY)),
        ("non_canonical_key", "y = p + 1, not reduced.", (P + 1).to_bytes(32, "little")),
        ("off_curve_key", "No point has y = 2.", (2).to_bytes(32, "little")),
    )
    made = []
    for name, comment, public in weak:
        payload = cbor(message([public, *HELLO[1:]], 0, seq=1, prev=FIRST))
        # R the identity and S zero: valid on any message if [8]A is the identity.
        forged = compress(IDENTITY) + bytes(32)
        data = crooked(payload, header=protected(kid(public)), signature=forged)
        made.append(_hello(name, comment, public, data, "weak_key"))
    payload = cbor(message([mixed, *HELLO[1:]], 0, seq=1, prev=FIRST))
    header = protected(kid(mixed))
    tbs = sig_structure(header, payload, "device")
    signature = DEVICE.sign_with(tbs, DEVICE.nonce(tbs), public=mixed)
    data = crooked(payload, header=header, signature=signature)
    comment = "An honest key plus a point of order 8; the signature is valid."
    made.append(_hello("mixed_order_key", comment, mixed, data, "weak_key"))
    theirs = cbor(message([STRANGER.public, *HELLO[1:]], 0, seq=1, prev=FIRST))
    comment = "The kid is not the id of the key in the hello."
    made.append(_hello("kid_mismatch", comment, STRANGER.public, sign1(theirs), "kid_mismatch"))
    damaged = sign1(cbor(message(HELLO, 0, seq=1, prev=FIRST)))
    comment = "A first hello whose signature is damaged."
    data = damaged[:-1] + bytes([damaged[-1] ^ 1])
    return [*made, _hello("hello_bad_signature", comment, DEVICE.public, data, "bad_signature")]


def _documents() -> list[Case]:
    """Key statements and operator events that are out of order."""

    def document(name: str, fields: list[Any], expect: str, key: Key, role: str) -> Case:
        data = sign1(cbor(fields), key, role)
        return Case("invalid_" + role, name, "", data, expect, key, role)

    stated = statement_fields(GATEWAY.public, "gateway", 1)
    event = [16, 3, 1, bytes(32), NOON_MS, [DEVICE.kid, 1]]
    return [
        document("device_role", [16, "device", *stated[2:]], "bad_payload", ROOT, "root"),
        document("never_in_force", [*stated[:5], stated[4]], "bad_payload", ROOT, "root"),
        document(
            "weak_key", [*stated[:2], compress(IDENTITY), *stated[3:]], "weak_key", ROOT, "root"
        ),
        document("not_root", stated, "kid_mismatch", STRANGER, "root"),
        document("unknown_event", [16, 9, *event[2:]], "bad_payload", OPERATOR, "operator"),
        document("anchor_two", [*event[:5], [DEVICE.kid, 2]], "bad_body", OPERATOR, "operator"),
        document(
            "rules_today", [16, 6, *event[2:5], [DAY, bytes(32)]], "bad_body", OPERATOR, "operator"
        ),
        document("stranger", event, "key_not_in_force", STRANGER, "operator"),
        document(
            "too_late", [*event[:4], stated[5], event[5]], "key_not_in_force", OPERATOR, "operator"
        ),
    ]
