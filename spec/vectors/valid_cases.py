"""Messages that are in order: every kind, every role that signs a document, and the edges."""

from hashlib import sha256
from typing import Any

from craft import BASE, P, Raw, add, cbor, compress, diagnostic, multiply, torsion_point
from signing import (
    DAY,
    DAY_MS,
    DEVICE,
    FIRST,
    GATEWAY,
    GENESIS,
    NETWORK,
    NOON_MS,
    OPERATOR,
    OWNER,
    ROOT,
    Case,
    content,
    message,
    protected,
    sig_structure,
    sign1,
    signed,
    valid,
)

CELL_9 = 0x8928308280FFFFF
CELL_7 = 0x872830828FFFFFF
SLOT = NOON_MS // 60_000
X = sha256(b"x").digest()
TAG = sha256(b"air tag").digest()[:16]
PLACE = sha256(b"salt and place").digest()
CONFIG_ID = sha256(b"configuration").digest()[:16]
EVM_OWNER = bytes.fromhex("52908400098527886e0f7030069857d2e4169ee7")
# keccak256(OWNER.public)[-20:]; a test computes it, this file has no keccak.
KEY_OWNER = bytes.fromhex("c47968e68f10c847473454980e0082ae5f615de7")

DECLARED = [[1, 0, 300_000], [2, 0, 300_000], [3, 0, 300_000], [4, 0, 300_000]]
HELLO = [DEVICE.public, "cairn 0.1.0", DECLARED, [0, 0, 0], PLACE, CELL_9, [215, 60]]
SIXTEEN = [
    2_000,
    [60_000, 0, 0],
    [
        [1, 0, -2, [2_150, 3, -2, 1]],
        [2, 0, -2, [5_150, -12, 7, 0]],
        [3, 0, -1, [10_132, 1, 0, -1]],
        [4, 0, 0, [150, 3, -2, 1]],
    ],
]


def cases() -> list[Case]:
    """Every valid case."""
    return [
        *_hellos(),
        *_readings(),
        *_reports(),
        *_chain(),
        *_claims(),
        *_later_versions(),
        *_signatures(),
        *_gateway(),
        *_documents(),
        *_operator(),
    ]


def _hellos() -> list[Case]:
    first = {"seq": 1, "prev": FIRST, "time_quality": [0, 0], "time_ms": 5_000}
    battery = [*HELLO[:3], [1, 600_000, 30_000], PLACE, CELL_7, None]
    return [
        valid(
            "hello",
            "first",
            "The first message of a key, sent before the board had a time.",
            message(HELLO, 0, **first),
            registered=False,
        ),
        valid(
            "hello",
            "battery",
            "A battery station with a resolution-7 cell and no antenna given.",
            message(battery, 0),
            registered=False,
        ),
        valid("hello", "again", "A registered station says hello again.", message(HELLO, 0)),
    ]


def _reading(name: str, comment: str, body: list[Any], ages: list[int], rows: Any) -> Case:
    columns = [
        {"values": values, "faults": faults} if faults else {"values": values}
        for values, faults in rows
    ]
    values = {"sample_ages_ms": ages, "columns": columns}
    return valid("readings", name, comment, message(body), values=values)


def _readings() -> list[Case]:
    top = 1 << 53
    long = [0, [1, *[0] * 254], [[1, 0, 0, [0] * 256]]]
    wide = [0, [], [[quantity, 0, 0, [quantity]] for quantity in range(32)]]
    return [
        _reading(
            "sixteen",
            "Four quantities at four times: the message that must stay within 200 bytes.",
            SIXTEEN,
            [182_000, 122_000, 62_000, 2_000],
            [
                ([2_150, 2_153, 2_151, 2_152], None),
                ([5_150, 5_138, 5_145, 5_145], None),
                ([10_132, 10_133, 10_133, 10_132], None),
                ([150, 153, 151, 152], None),
            ],
        ),
        _reading(
            "nulls_and_faults",
            "A difference skips over nulls; a null has a fault or was not sampled.",
            [0, [3, -1, 2], [[1, 2, -1, [None, -50, None, 8], [[0, 6], [2, 1]]]]],
            [9, 6, 4, 0],
            [([None, -50, None, -42], [[0, 6], [2, 1]])],
        ),
        _reading(
            "all_null",
            "A sensor that is absent: no value at all.",
            [0, [5], [[7, 0, 6, [None, None], [[0, 9], [1, 9]]]]],
            [5, 0],
            [([None, None], [[0, 9], [1, 9]])],
        ),
        _reading(
            "extremes",
            "The largest and smallest value, and a difference of 2^54 between them.",
            [0, [1], [[1, 0, -9, [top, -2 * top]], [1, 1, 6, [-top, 2 * top]]]],
            [1, 0],
            [([top, -top], None), ([-top, top], None)],
        ),
        _reading("most_samples", "256 samples.", long, list(range(255, -1, -1)), [([0] * 256, 0)]),
        _reading("most_columns", "32 columns.", wide, [0], [([q], None) for q in range(32)]),
    ]


def _reports() -> list[Case]:
    witness = [DAY, 0, [SLOT, SLOT + 1], [TAG, X[:16]], [-9_850, -11_200], [725, None]]
    return [
        valid("commit", "commit", "", message([DAY + 1, sha256(X).digest()], 2)),
        valid(
            "beacon",
            "two_radios",
            "",
            message([DAY, [[SLOT, 0, 3, 1_400], [SLOT + 9, 2, 37, -300]]], 3),
        ),
        valid(
            "witness",
            "two_rows",
            "The second row has no SNR.",
            message([*witness, [3, 3], [812, 40]], 4),
        ),
        valid("reveal", "reveal", "", message([DAY - 1, X], 5)),
        valid(
            "status",
            "full",
            "",
            message([86_400, 61_440, 1, 12, 0, 3_712, -71, [DAY, 0xFFFFFF]], 6),
        ),
        valid(
            "status",
            "nulls",
            "A board without battery, Wi-Fi or listening hours to tell of.",
            message([0, 0, 0, 0, 0, None, None, None], 6),
        ),
        valid("config_ack", "rolled_back", "", message([CONFIG_ID, 2], 9)),
    ]


def _chain() -> list[Case]:
    return [
        valid("gap", "dropped", "", message([10, 41, 30, 1], 7)),
        valid("gap", "unused", "A power cut in a reserved block.", message([40, 41, 0, 0], 7)),
        valid(
            "gap",
            "chain_lost",
            "The one message beside a key's first whose prev may be zero.",
            message([1, 41, 0, 2], 7, prev=FIRST),
        ),
        valid(
            "clock",
            "maps_a_boot",
            "",
            message([2, NOON_MS - 3_600_000, 1, 85], 8),
        ),
        valid(
            "readings",
            "since_boot",
            "Source none: time_ms counts from the boot; largest boot and seq.",
            message(
                [0, [], [[1, 0, -2, [2_150]]]],
                boot=(1 << 32) - 1,
                seq=(1 << 53) - 1,
                time_ms=90_000,
                time_quality=[0, 0],
            ),
        ),
    ]


def _claims() -> list[Case]:
    proof = sign1(cbor([DEVICE.kid, OWNER.public]), OWNER, "owner")
    comment = "EIP-191 is stored and not evaluated."
    return [
        valid("claim", "board_alone", "", message([EVM_OWNER, 0, None], 10)),
        valid(
            "claim",
            "owner_key",
            "The owner's key signs the device id.",
            message([KEY_OWNER, 1, proof], 10),
        ),
        valid(
            "claim",
            "eip191",
            comment,
            message([EVM_OWNER, 2, bytes(65)], 10),
            expect="not_evaluated",
        ),
    ]


def _later_versions() -> list[Case]:
    return [
        valid(
            "later",
            "unknown_minor",
            "Version 1.1: the header is read, the body is not.",
            message([1, "new"], version=17),
            expect="not_evaluated",
        ),
        valid(
            "later",
            "unknown_kind",
            "A reserved kind.",
            message([], 11),
            expect="not_evaluated",
        ),
        valid(
            "later",
            "largest",
            "4,096 bytes.",
            message(bytes(3_963), 11),
            expect="not_evaluated",
        ),
        valid(
            "later",
            "deepest",
            "Eight arrays inside each other, the outermost being the payload.",
            message([[[[[[[]]]]]]], 15),
            expect="not_evaluated",
        ),
    ]


def _signatures() -> list[Case]:
    """Valid by ZIP 215, invalid by stricter rules."""
    fields = message(SIXTEEN)
    payload = cbor(fields)
    to_be_signed = sig_structure(protected(DEVICE.kid), payload, "device")
    nonce = DEVICE.nonce(to_be_signed)
    torsioned = compress(add(multiply(nonce, BASE), torsion_point()))
    # y = p + 1 is the identity, written with a y that is not reduced.
    loose = (P + 1).to_bytes(32, "little")
    kept = content(fields, DEVICE, "device")
    del kept["seed"]
    made = []
    for name, comment, signature in (
        (
            "torsioned_r",
            "R has a component of order 8; only the cofactored equation holds.",
            DEVICE.sign_with(to_be_signed, nonce, torsioned),
        ),
        (
            "non_canonical_r",
            "R is the identity with its y not reduced.",
            DEVICE.sign_with(to_be_signed, 0, loose),
        ),
    ):
        data = sign1(payload)[:-64] + signature
        made.append(Case("signature", name, comment, data, "ok", extra=kept))
    return made


def _gateway() -> list[Case]:
    statement = _statement(GATEWAY, "gateway", 1)
    receipt = [40, TAG, [[42, 42], [44, 60]], [[41, 22], [12, 21]], NOON_MS]
    top = (1 << 53) - 1
    ranges = [[top - 100 + 2 * n, top - 100 + 2 * n] for n in range(13)]
    refused = [[top - n, 22] for n in range(8)]
    bodies = (
        ("time", "answer", "", 16, b"", [X[:16]]),
        ("receipt", "ranges_and_refusals", "", 17, DEVICE.kid, receipt),
        ("receipt", "empty", "Nothing is delivered.", 17, DEVICE.kid, [0, FIRST, [], [], NOON_MS]),
        (
            "receipt",
            "largest",
            "The largest numbers: more ranges would not fit into 512 bytes.",
            17,
            DEVICE.kid,
            [top - 200, TAG, ranges, refused, NOON_MS],
        ),
        ("keys", "one", "", 18, b"", [statement]),
        ("entropy_commit", "day", "", 19, b"", [X, DAY * 1440, 1440]),
        ("config_request", "interval", "", 20, DEVICE.kid, [CONFIG_ID, [["interval_ms", 60_000]]]),
        ("tick", "tick", "", 21, b"", [SLOT]),
        ("release", "release", "", 22, b"", [X, 7]),
        ("notice", "notice", "", 23, DEVICE.kid, [1, "Clean the rain gauge.", b""]),
    )
    return [
        signed(
            folder,
            name,
            [16, kind, to, 1, NOON_MS, body],
            GATEWAY,
            "gateway",
            comment=comment,
        )
        for folder, name, comment, kind, to, body in bodies
    ]


def statement_fields(public: bytes, role: str, serial: int) -> list[Any]:
    """In force for the 30 days from the day before the vectors' day."""
    return [16, role, public, serial, (DAY - 1) * DAY_MS, (DAY + 29) * DAY_MS]


def _statement(key: Any, role: str, serial: int) -> bytes:
    return sign1(cbor(statement_fields(key.public, role, serial)), ROOT, "root")


def _documents() -> list[Case]:
    login = [NETWORK, 64, X[:8], DEVICE.public]
    genesis = Case(
        "genesis",
        "genesis",
        "Not signed: the network id is the start of its hash.",
        cbor(GENESIS),
        "ok",
        ROOT,
        "none",
        extra={"payload": diagnostic(GENESIS)},
    )
    return [
        genesis,
        signed("login", "login", login, DEVICE, "login"),
        signed("owner", "proof", [DEVICE.kid, OWNER.public], OWNER, "owner"),
        *(
            signed("statement", role, statement_fields(key.public, role, 1), ROOT, "root")
            for role, key in (("gateway", GATEWAY), ("operator", OPERATOR))
        ),
    ]


def _operator() -> list[Case]:
    bodies: tuple[tuple[str, list[Any]], ...] = (
        ("approve", [DEVICE.kid]),
        ("owner", [DEVICE.kid, EVM_OWNER]),
        ("place", [DEVICE.kid, CELL_9]),
        ("anchor", [DEVICE.kid, 1]),
        ("quarantine", [DEVICE.kid, 40, 42, "two seasons in one day"]),
        ("appeal", [DEVICE.kid, 40, 42, 1]),
        ("rules", [DAY + 1, sha256(b"rules 2").digest()]),
        ("price", ["anything", [1]]),
        ("void_slot", [[SLOT, SLOT + 9]]),
    )
    made = []
    prev = bytes(32)
    for event, (name, body) in enumerate(bodies):
        fields = [16, event, event + 1, prev, NOON_MS, body]
        case = signed("operator", name, fields, OPERATOR, "operator")
        prev = bytes.fromhex(case.extra["message_id"])
        made.append(case)
    return made


def as_raw(fields: list[Any], path: tuple[int, ...], item: str) -> list[Any]:
    """Payload fields with the item at `path` replaced by bytes given in hex."""
    copy = list(fields)
    if len(path) == 1:
        copy[path[0]] = Raw(bytes.fromhex(item))
    else:
        copy[path[0]] = as_raw(copy[path[0]], path[1:], item)
    return copy
