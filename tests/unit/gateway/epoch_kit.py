"""A small network for epoch tests: boards that sign, an operator, logs, and closes in a row."""

from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from nacl.signing import SigningKey

from gateway.core.bundle_sections import bundle_sections
from gateway.core.cbor_profile import encode
from gateway.core.cose import Role, sign1
from gateway.core.epoch import close_epoch
from gateway.core.epoch_inputs import ZERO_HASH, EpochInputs, LogRange
from gateway.core.genesis import DAY_MS, Genesis
from gateway.core.ids import device_id
from gateway.core.logs import (
    ADMISSION_LABEL,
    OPERATOR_LABEL,
    admission_cbor,
    chain_over,
    chain_start,
    operator_cbor,
)
from gateway.core.manifest import ATTESTATION_CODE, attestation_text
from gateway.core.model import AdmissionEntry, Hello, Kind
from gateway.core.operator import OperatorKind, operator_payload
from gateway.core.registry import cell_centre
from gateway.core.rules import rules_hash
from gateway.core.statements import KeyStatement, statement_payload
from gateway.core.verdicts import Verdict
from gateway.core.wire import decode

SPEC = Path(__file__).resolve().parents[3] / "spec"
RULES = (SPEC / "rules" / "0001.toml").read_bytes()
QUANTITIES = (SPEC / "quantities.toml").read_bytes()
TABLES = {
    "trig": (SPEC / "tables" / "trig.csv").read_bytes(),
    "radio": (SPEC / "tables" / "radio.csv").read_bytes(),
    "regions": (SPEC / "regions.toml").read_bytes(),
}
DAY = 20_000
START_MS = DAY * DAY_MS
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
CLOSE_AFTER_MS = 10_800_000
END_MS = START_MS + DAY_MS
CLOSE_MS = END_MS + CLOSE_AFTER_MS
# Zurich; the first two are 328 m apart, the others far from each other.
CELLS = (
    0x891F8ED951BFFFF,
    0x891F8ED950BFFFF,
    0x891F8ED8203FFFF,
    0x891F8ED8603FFFF,
    0x891F8ED9003FFFF,
    0x891F8ED9103FFFF,
)
COARSE_CELL = 0x871F8ED94FFFFFF
TEMPERATURE, HUMIDITY, PRESSURE = 0, 1, 2
OWNER = bytes.fromhex("11" * 20)


class Key:
    def __init__(self, label):
        self._key = SigningKey(sha256(label.encode()).digest())
        self.public_key = bytes(self._key.verify_key)
        self.kid = device_id(self.public_key)

    def sign(self, data):
        return self._key.sign(data).signature


class Board(Key):
    """Signs messages in a chain; `declared` is [(quantity, channel, interval_ms), ...]."""

    def __init__(self, network, label, cell=CELLS[0], declared=((TEMPERATURE, 0, 600_000),)):
        super().__init__(label)
        self.network = network
        self.cell = cell
        self.declared = [list(one) for one in declared]
        self.boot, self.seq, self.prev = 1, 0, bytes(16)

    def make(self, kind, body, time_ms, *, source=1, seq=None, prev=None, version=16):
        if seq is None:
            self.seq += 1
        fields = [
            version,
            int(kind),
            self.boot,
            self.seq if seq is None else seq,
            self.prev if prev is None else prev,
            time_ms,
            [source, 40],
            body,
        ]
        payload = encode(fields)
        data, message_id = sign1(self.sign, self.kid, self.network.id, Role.DEVICE, payload)
        if seq is None and prev is None:
            self.prev = message_id[:16]
        return data

    def hello(self, time_ms, **header):
        body = [self.public_key, "cairn", self.declared, [0, 0, 0], bytes(32), self.cell, None]
        return self.make(Kind.HELLO, body, time_ms, **header)

    def claim(self, time_ms, owner=OWNER, **header):
        return self.make(Kind.CLAIM, [owner, 0, None], time_ms, **header)

    def clock(self, time_ms, boot, utc_at_boot_ms, uncertainty_ms=40, **header):
        return self.make(Kind.CLOCK, [boot, utc_at_boot_ms, 1, uncertainty_ms], time_ms, **header)

    def readings(self, time_ms, columns, dts=(), age_ms=0, **header):
        """columns: [quantity, channel, exponent, [absolute values], optional faults]."""
        packed = [[*c[:3], _deltas(c[3]), *c[4:]] for c in columns]
        return self.make(
            Kind.READINGS,
            [age_ms, [b - a for a, b in pairwise((0, *dts))], packed],
            time_ms,
            **header,
        )

    def reading(self, time_ms, value, quantity=TEMPERATURE, exponent=-2, **header):
        return self.readings(time_ms, [[quantity, 0, exponent, [value]]], **header)

    def day(self, epoch=DAY, interval_ms=600_000, value=lambda k: 1500 + k % 50):
        """One message per interval, sent in the middle of its window: [(time_ms, bytes), ...]."""
        times = range(epoch * DAY_MS + interval_ms // 2, (epoch + 1) * DAY_MS, interval_ms)
        return [(t, self.reading(t, value(k))) for k, t in enumerate(times)]


class Net:
    """Genesis, keys, logs and stored messages; `close` closes the next epoch."""

    def __init__(self, rules=RULES, *, simulated=True):
        self.root, self.gateway, self.operator = Key("root"), Key("gateway"), Key("operator")
        genesis = Genesis("test", self.root.public_key, START_MS, rules_hash(rules), simulated)
        self.rules = rules
        self.rules_serial = 1
        self.genesis = genesis.encode()
        self.id = genesis.network_id()
        self.statements = tuple(
            self.statement(role, key)
            for role, key in ((Role.GATEWAY, self.gateway), (Role.OPERATOR, self.operator))
        )
        self.epoch = DAY
        self.entries, self.events, self.messages, self.centres = [], [], {}, {}
        self.opening, self.previous = b"", ZERO_HASH
        self.entropy = b""
        self.admission_head = (0, chain_start(ADMISSION_LABEL, self.id))
        self.operator_head = (0, chain_start(OPERATOR_LABEL, self.id))
        self.serial, self.last_event = 0, ZERO_HASH
        self.known_cells = set()

    def board(self, label="board", **options):
        return Board(self, label, **options)

    def admit(self, data, recv_ms, net_tag=b"", verdict=None):
        """Log a message as admission would; a repeated id changes nothing."""
        decoded = decode(data, self.id)
        assert not isinstance(decoded, Verdict), decoded
        message_id = decoded.message.message_id
        if message_id in self.messages:
            return message_id
        self.messages[message_id] = data
        judged = decoded.verdict if verdict is None else verdict
        self.entries.append(
            AdmissionEntry(message_id, recv_ms, judged, self.rules_serial, net_tag)
        )
        if isinstance(decoded.message.body, Hello):
            cell = decoded.message.body.scoring_cell
            if cell not in self.known_cells:
                self.known_cells.add(cell)
                self.centres[cell] = cell_centre(cell)
        return message_id

    def send(self, pairs, delay_ms=1_000):
        """Admit (time_ms, bytes) pairs, each delay_ms after it was made."""
        return [self.admit(data, time_ms + delay_ms) for time_ms, data in pairs]

    def event(self, kind: OperatorKind, time_ms, body):
        self.serial += 1
        payload = operator_payload(kind, self.serial, self.last_event, time_ms, body)
        data, self.last_event = sign1(
            self.operator.sign, self.operator.kid, self.id, Role.OPERATOR, payload
        )
        self.events.append(data)
        return data

    def station(self, label="board", *, anchored=False, owner=OWNER, **options):
        """Return a board that has said hello and claim in the first minute of this epoch."""
        board = self.board(label, **options)
        start_ms = self.epoch * DAY_MS
        self.admit(board.hello(start_ms), start_ms + 1)
        if owner:
            self.admit(board.claim(start_ms, owner), start_ms + 2)
        if anchored:
            self.event(OperatorKind.ANCHOR, start_ms, [board.kid, 1])
        return board

    def inputs(self):
        first, before = self.admission_head
        operator_first, operator_before = self.operator_head
        admission_after = chain_over(before, map(admission_cbor, self.entries))
        operator_after = chain_over(operator_before, map(operator_cbor, self.events))
        return EpochInputs(
            genesis=self.genesis,
            statements=self.statements,
            epoch=self.epoch,
            rules_serial=self.rules_serial,
            rules_text=self.rules,
            quantities_text=QUANTITIES,
            tables=dict(TABLES),
            opening=self.opening,
            previous_manifest=self.previous,
            admission=tuple(self.entries),
            admission_range=LogRange(first, first + len(self.entries), before, admission_after),
            operator=tuple(self.events),
            operator_range=LogRange(
                operator_first,
                operator_first + len(self.events),
                operator_before,
                operator_after,
            ),
            messages=dict(self.messages),
            centres=dict(self.centres),
            entropy=self.entropy,
        )

    def close(self):
        """Close the epoch and move on to the next; return its outcome."""
        return self.close_with_inputs()[1]

    def close_with_inputs(self):
        inputs = self.inputs()
        outcome = close_epoch(inputs)
        self.opening, self.previous = outcome.closing, outcome.manifest_hash
        admission, operator = inputs.admission_range, inputs.operator_range
        self.admission_head = (admission.last, admission.hash_after)
        self.operator_head = (operator.last, operator.hash_after)
        self.entries, self.events, self.centres = [], [], {}
        self.epoch += 1
        return inputs, outcome

    def bundle(self):
        """Close the epoch and return its bundle's sections, attested."""
        inputs, outcome = self.close_with_inputs()
        return bundle_sections(inputs, outcome, self.attest(inputs.epoch, outcome.manifest_hash))

    def attest(self, epoch, manifest_hash, key=None, time_ms=None):
        key = key or self.gateway
        body = [ATTESTATION_CODE, attestation_text(epoch), manifest_hash]
        if time_ms is None:
            time_ms = (epoch + 1) * DAY_MS + CLOSE_AFTER_MS
        payload = encode([16, int(Kind.NOTICE), b"", 1, time_ms, body])
        return sign1(key.sign, key.kid, self.id, Role.GATEWAY, payload)[0]

    def statement(self, role, key, not_after_ms=2**50):
        statement = KeyStatement(role, key.public_key, 1, 0, not_after_ms)
        payload = statement_payload(statement)
        return sign1(self.root.sign, self.root.kid, self.id, Role.ROOT, payload)[0]


def row_of(outcome, board):
    return next(row for row in outcome.stations if row.device == board.kid)


def day_row(net, board, **options):
    """Send a day of the board, close the epoch, and return the board's row."""
    net.send(board.day(**options))
    return row_of(net.close(), board)


def findings_of(row):
    """Counts by verdict, but for NO_NEIGHBOURS: stations of these tests are mostly alone."""
    return {f.verdict: f.count for f in row.findings if f.verdict is not Verdict.NO_NEIGHBOURS}


def _deltas(values):
    before, deltas = 0, []
    for value in values:
        deltas.append(None if value is None else value - before)
        before = before if value is None else value
    return deltas
