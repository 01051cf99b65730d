"""The gateway core against every vector: the exact verdict, and the values of what is valid."""

from nacl.signing import SigningKey

from gateway.core import downlink
from gateway.core.admission import AdmissionState, Arrival, Arrivals, Commit, Rejected, step
from gateway.core.cbor_profile import encode, load
from gateway.core.cose import Role, open_envelope, sign1
from gateway.core.genesis import Genesis
from gateway.core.ids import device_id
from gateway.core.model import Hello, Kind, Readings
from gateway.core.operator import OperatorEvent, OperatorKind, follows, open_operator_event
from gateway.core.registry import Policy, Station
from gateway.core.statements import KeyStatement, open_statement, statement_payload
from gateway.core.verdicts import Verdict
from gateway.core.verify import key_acceptable, signature_valid
from gateway.core.wire import Decoded, decode
from tests.spec.vector_files import CASES, diagnostic, each, signed_by_seed, valid


def named(folder, name):
    return next(case for case in CASES if (case.folder, case.name) == (folder, name))


def verdict_on(case, data):
    """What admission says of `data` from the topic of the case, told through its effects."""
    state = AdmissionState.empty(case.network_id, Policy.OPEN)
    if case.registered:
        device = device_id(case.public_key)
        hello = Hello(case.public_key, "", (), 0, 0, 0, bytes(32), 0x8928308280FFFFF, None)
        state.registry.stations[device] = Station(device, hello, (1, b""))
    arrivals = Arrivals((Arrival(case.device, data),), lambda _: False, 1)
    _, (effect,) = step(state, 0, arrivals)
    match effect:
        case Rejected(_, verdict):
            return verdict
        case Commit(((entry, _, _),), _):
            return entry.verdict
    raise AssertionError(effect)


@each(role="device")
def test_admission_gives_the_named_verdict(case):
    assert verdict_on(case, case.bytes).name.lower() == case.expect


@each(role="device", where=valid)
def test_a_valid_message_has_the_named_content(case):
    decoded = decode(case.bytes, case.network_id)
    assert isinstance(decoded, Decoded)
    message = decoded.message
    assert message.message_id == case.message_id
    assert message.device == device_id(case.public_key)
    assert diagnostic(load(decoded.envelope.payload)) == case.payload


@each("readings", where=lambda case: hasattr(case, "columns"))
def test_readings_are_summed_up(case):
    decoded = decode(case.bytes, case.network_id)
    body = decoded.message.body
    assert isinstance(body, Readings)
    assert list(body.sample_ages_ms) == case.sample_ages_ms
    for column, expected in zip(body.columns, case.columns, strict=True):
        assert list(column.values) == expected["values"]
        assert [list(fault) for fault in column.faults] == expected.get("faults", [])


def test_sixteen_readings_fit_into_200_bytes():
    assert len(named("readings", "sixteen").bytes) <= 200


def test_every_kind_has_a_valid_vector():
    # The payload's second field is the kind, for devices and the gateway alike.
    kinds = {
        int(case.payload.split(", ")[1])
        for case in CASES
        if case.role in {"device", "gateway"} and hasattr(case, "message_id")
    }
    assert kinds >= set(Kind)


@each(where=valid)
def test_valid_signatures_are_valid(case):
    envelope = open_envelope(case.bytes, case.network_id, Role(case.role))
    assert not isinstance(envelope, Verdict)
    assert signature_valid(case.public_key, envelope.signature, envelope.to_be_signed)
    assert envelope.message_id == case.message_id


@each(where=signed_by_seed)
def test_the_gateway_signs_the_same_bytes(case):
    payload = open_envelope(case.bytes, case.network_id, Role(case.role)).payload
    key = SigningKey(case.seed)
    signed = sign1(
        lambda data: key.sign(data).signature,
        device_id(bytes(key.verify_key)),
        case.network_id,
        Role(case.role),
        encode(load(payload)),
    )
    assert signed == (case.bytes, case.message_id)


@each(role="gateway")
def test_downlink_encoders_write_the_payloads(case):
    payload = open_envelope(case.bytes, case.network_id, Role.GATEWAY).payload
    _, kind, to, serial, time_ms, fields = load(payload)
    writers = {
        Kind.TIME: downlink.time_body,
        Kind.RECEIPT: lambda *parts: downlink.receipt_body(downlink.ReceiptBody(*parts)),
        Kind.KEYS: lambda *parts: downlink.keys_body(parts),
        Kind.ENTROPY_COMMIT: downlink.entropy_commit_body,
        Kind.CONFIG_REQUEST: downlink.config_request_body,
        Kind.TICK: downlink.tick_body,
        Kind.RELEASE: downlink.release_body,
        Kind.NOTICE: downlink.notice_body,
    }
    body = writers[Kind(kind)](*fields)
    assert downlink.downlink_payload(Kind(kind), to, serial, time_ms, body) == payload
    if kind not in {Kind.KEYS, Kind.CONFIG_REQUEST}:
        assert len(case.bytes) <= 512


@each("genesis")
def test_genesis(case):
    genesis = Genesis.decode(case.bytes)
    assert isinstance(genesis, Genesis)
    assert genesis.encode() == case.bytes
    assert genesis.network_id() == case.network_id
    assert genesis.root_key == case.public_key


@each(role="root")
def test_key_statements(case):
    root = named("genesis", "genesis").public_key
    statement = open_statement(case.bytes, case.network_id, root)
    if case.expect != "ok":
        assert isinstance(statement, Verdict)
        assert statement.name.lower() == case.expect
        return
    assert isinstance(statement, KeyStatement)
    payload = open_envelope(case.bytes, case.network_id, Role.ROOT).payload
    assert statement_payload(statement) == payload


def operator_statements():
    root = named("genesis", "genesis").public_key
    case = named("statement", "operator")
    return [open_statement(case.bytes, case.network_id, root)]


@each(role="operator")
def test_operator_events(case):
    event = open_operator_event(case.bytes, case.network_id, operator_statements())
    verdict = Verdict.OK if isinstance(event, OperatorEvent) else event
    assert verdict.name.lower() == case.expect


def test_operator_events_follow_each_other():
    cases = {case.name: case for case in CASES if case.folder == "operator"}
    last = None
    for kind in OperatorKind:
        case = cases.pop(kind.name.lower())
        event = open_operator_event(case.bytes, case.network_id, operator_statements())
        assert isinstance(event, OperatorEvent)
        assert event.serial == kind + 1
        assert follows(event, last)
        assert not follows(event, event)
        last = event
    assert not cases


def test_weak_keys_would_verify_without_the_check():
    """The check at registration is what stands between a forged hello and a station."""
    for name in ("small_order_key", "identity_key", "non_canonical_key", "mixed_order_key"):
        case = named("invalid", name)
        envelope = open_envelope(case.bytes, case.network_id, Role.DEVICE)
        assert signature_valid(case.hello_key, envelope.signature, envelope.to_be_signed)
        assert not key_acceptable(case.hello_key)
