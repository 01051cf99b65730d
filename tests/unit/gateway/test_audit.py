"""The audit catches what was changed, also where everything behind it was computed anew."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.audit import (
    audit_bundle,
    audit_chain,
    name_damage,
)
from gateway.core.bundle import Damage, read_bundle, write_bundle
from gateway.core.bundle_sections import bundle_sections, inputs_of
from gateway.core.cbor_profile import encode, load
from gateway.core.cose import Role
from gateway.core.epoch import close_epoch
from gateway.core.genesis import DAY_MS
from gateway.core.logs import admission_cbor, chain_over, operator_cbor
from gateway.core.manifest import decode_manifest, digest, encode_manifest
from gateway.core.model import Kind
from gateway.core.operator import OperatorKind
from gateway.core.rules import rules_hash
from gateway.core.state import decode_state, encode_state
from gateway.core.station_table import decode_stations, encode_stations
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import (
    CELLS,
    CLOSE_MS,
    DAY,
    END_MS,
    HOUR_MS,
    OWNER,
    QUANTITIES,
    RULES,
    START_MS,
    TABLES,
    Net,
)
from tests.unit.gateway.test_bundle import stored, unstored

INTERVAL_MS = 2_400_000
DECLARED = ((0, 0, INTERVAL_MS),)


@cache
def network():
    """Two epochs of three stations, as (net, first sections, second sections)."""
    net = Net()
    anchored = net.station("anchored", anchored=True, declared=DECLARED)
    beside = net.station("beside", cell=CELLS[1], declared=DECLARED)
    far = net.station("far", cell=CELLS[2], owner=None, declared=DECLARED)
    net.event(OperatorKind.QUARANTINE, START_MS, [far.kid, 5, 9, "bench"])
    boards = (anchored, beside, far)
    bundles = []
    for epoch in (DAY, DAY + 1):
        for board in boards:
            net.send(board.day(epoch, interval_ms=INTERVAL_MS))
        ends_ms = (epoch + 1) * DAY_MS
        net.admit(far.reading(ends_ms + 1, 1500), ends_ms)
        net.admit(far.make(Kind.READINGS, [], ends_ms - HOUR_MS), ends_ms - HOUR_MS)
        bundles.append(net.bundle())
    return net, *bundles


def first():
    return dict(network()[1])


def second():
    return dict(network()[2])


def failed(report):
    return {check.name: check.detail for check in report.checks if not check.ok}


def closed_again(sections, **changes):
    """The bundle of changed inputs with logs, outcome and manifest computed anew, unsigned."""
    inputs = replace(inputs_of(sections), **changes)
    admission = inputs.admission_range
    operator = inputs.operator_range
    inputs = replace(
        inputs,
        admission_range=replace(
            admission,
            last=admission.first + len(inputs.admission),
            hash_after=chain_over(admission.hash_before, map(admission_cbor, inputs.admission)),
        ),
        operator_range=replace(
            operator,
            last=operator.first + len(inputs.operator),
            hash_after=chain_over(operator.hash_before, map(operator_cbor, inputs.operator)),
        ),
    )
    return bundle_sections(inputs, close_epoch(inputs))


def with_manifest(sections, **changes):
    """The same sections under a manifest with other fields."""
    manifest = replace(decode_manifest(sections["manifest"]), **changes)
    return {**sections, "manifest": encode_manifest(manifest)}


def test_an_honest_bundle_passes_and_says_what_it_takes_as_given():
    for sections, given_state in ((first(), "nothing is taken"), (second(), "taken as given")):
        report = audit_bundle(sections, digest(sections["manifest"]))
        assert failed(report) == {}
        assert report.ok
        assert report.root == decode_manifest(sections["manifest"]).payout_root
        assert report.manifest_hash == digest(sections["manifest"])
        assert given_state in report.checks[0].detail
        assert report.checks[0].detail.startswith("simulated network ")
    assert audit_bundle(Net(simulated=False).bundle()).checks[0].detail.startswith("network ")


def test_a_bundle_without_a_signature_passes_and_says_so():
    sections = first()
    del sections["attestation"]
    report = audit_bundle(sections)
    assert report.ok
    assert any("no gateway" in check.detail for check in report.checks)


def test_a_changed_amount_under_a_new_manifest_is_caught():
    sections = first()
    rows = decode_stations(sections["stations"])
    rows = (replace(rows[0], paid=rows[0].paid + 1), *rows[1:])
    sections["stations"] = encode_stations(rows)
    state = decode_state(sections["closing"])
    sections["closing"] = encode_state(replace(state, cumulative={OWNER: 10**22}))
    sections = with_manifest(
        sections, stations=digest(sections["stations"]), closing=digest(sections["closing"])
    )
    found = failed(audit_bundle(sections))
    assert found["manifest"] == "it differs in closing, stations"
    assert found["station table"] == f"station {rows[0].device.hex()} differs in paid"
    assert set(found) == {"attestation", "manifest", "closing state", "station table"}


def test_a_dropped_message_is_caught():
    sections = first()
    inputs = inputs_of(sections)
    dropped = inputs.admission[40].message_id
    admission = tuple(e for e in inputs.admission if e.message_id != dropped)
    messages = {key: data for key, data in inputs.messages.items() if key != dropped}
    # The bytes alone.
    short = {**sections, "messages": encode([messages[key] for key in sorted(messages)])}
    assert "messages for" in failed(audit_bundle(short))["inputs"]
    # Its log entry too.
    short["admission"] = encode(
        [[e.message_id, e.recv_ms, int(e.verdict), e.rules, e.net_tag] for e in admission]
    )
    assert "admission log does not fit" in failed(audit_bundle(short))["inputs"]
    # Everything behind it computed again: the gateway would have to sign that too.
    again = closed_again(sections, admission=admission, messages=messages)
    report = audit_bundle({**again, "attestation": sections["attestation"]})
    assert failed(report) == {"attestation": "it was signed for another manifest"}
    expected = digest(sections["manifest"])
    assert set(failed(audit_bundle(again, expected))) == {"expected manifest"}


def test_a_changed_verdict_is_caught_whatever_is_computed_again():
    inputs = inputs_of(first())
    entry = inputs.admission[30]
    changed = replace(entry, verdict=Verdict.BAD_BODY)
    admission = (*inputs.admission[:30], changed, *inputs.admission[31:])
    report = audit_bundle(closed_again(first(), admission=admission))
    assert failed(report) == {
        "messages": f"message {entry.message_id.hex()}: it is ok, the log says bad_body"
    }


def test_a_moved_centre_is_caught():
    sections = first()
    centres = {**inputs_of(sections).centres, CELLS[2]: (47_400_000, 8_577_528)}
    moved = {
        **sections,
        "centres": encode([[cell, *point] for cell, point in sorted(centres.items())]),
    }
    found = failed(audit_bundle(moved))
    assert {"centres", "manifest", "closing state", "station table"} == set(found)
    again = closed_again(sections, centres=centres)
    report = audit_bundle(again)
    assert f"cell {CELLS[2]:x}" in failed(report)["centres"]
    assert set(failed(audit_bundle({**again, "attestation": sections["attestation"]}))) == {
        "attestation",
        "centres",
    }


def test_swapped_rules_are_caught():
    text = RULES.replace(b"unproven_ppm = 20_000", b"unproven_ppm = 900_000")
    sections = with_manifest({**first(), "rules": text}, rules=rules_hash(text))
    assert "not the rules in force" in failed(audit_bundle(sections))["inputs"]


def test_files_that_the_rules_do_not_name_are_caught():
    text = QUANTITIES.replace(b"range = [-4500, 6000]", b"range = [-4500, 9000]")
    found = failed(audit_bundle({**first(), "quantities": text}))
    assert "quantities.toml" in found["inputs"]
    flat = TABLES["trig"].replace(b"1000000,1,17452406437283513", b"1000000,1,17452406437283514")
    found = failed(audit_bundle({**first(), "table.trig": flat}))
    assert "tables/trig.csv" in found["inputs"]


def test_a_forged_signature_is_caught_by_the_id_of_its_message():
    inputs = inputs_of(first())
    message_id = sorted(inputs.messages)[17]
    data = bytearray(inputs.messages[message_id])
    data[-1] ^= 1
    report = audit_bundle(
        closed_again(first(), messages={**inputs.messages, message_id: bytes(data)})
    )
    assert failed(report) == {
        "messages": f"message {message_id.hex()}: its signature does not verify"
    }


def test_a_message_without_a_key_is_caught():
    inputs = inputs_of(first())
    stranger = Net().board("stranger")
    data = stranger.reading(START_MS + HOUR_MS, 1500)
    net = Net()
    message_id = net.admit(data, START_MS + HOUR_MS)
    report = audit_bundle(
        closed_again(
            first(),
            messages={**inputs.messages, message_id: data},
            admission=(*inputs.admission, *net.entries),
        )
    )
    assert "no hello here" in failed(report)["messages"]


def test_a_forged_operator_event_is_caught():
    net, sections = network()[0], second()
    event = bytearray(inputs_of(first()).operator[0])
    event[-1] ^= 1
    found = failed(audit_bundle({**sections, "operator": encode([bytes(event)])}))
    assert "operator log does not fit" in found["inputs"]
    forged = Net()
    forged.operator = net.gateway
    forged.event(OperatorKind.ANCHOR, START_MS, [bytes(16), 1])
    inputs = inputs_of(sections)
    operator = replace(
        inputs.operator_range,
        last=inputs.operator_range.first + 1,
        hash_after=chain_over(
            inputs.operator_range.hash_before, [operator_cbor(forged.events[0])]
        ),
    )
    sections["operator"] = encode(forged.events)
    sections["epoch"] = encode(
        [
            *load(sections["epoch"])[:4],
            [operator.first, operator.last, operator.hash_before, operator.hash_after],
        ]
    )
    assert "key_not_in_force" in failed(audit_bundle(sections))["inputs"]


def test_an_operator_event_that_repeats_a_serial_is_caught():
    net = Net()
    net.event(OperatorKind.ANCHOR, START_MS, [bytes(16), 1])
    net.serial = 0
    net.event(OperatorKind.ANCHOR, START_MS, [bytes(16), 0])
    assert failed(audit_bundle(net.bundle())) == {
        "operator log": "event 2 does not follow the one before"
    }


@pytest.mark.parametrize("change", ["other key", "other epoch", "other manifest", "no cbor", "no"])
def test_a_false_attestation_is_caught(change):
    net, sections = network()[0], first()
    manifest_hash = digest(sections["manifest"])
    sections["attestation"] = {
        "other key": lambda: net.attest(DAY, manifest_hash, net.operator),
        "other epoch": lambda: net.attest(DAY + 1, manifest_hash),
        "other manifest": lambda: net.attest(DAY, bytes(32)),
        "no cbor": lambda: b"\xff",
        "no": lambda: inputs_of(sections).operator[0],
    }[change]()
    assert set(failed(audit_bundle(sections))) == {"attestation"}


def test_a_key_that_has_expired_cannot_attest_under_an_earlier_date():
    net = Net()
    net.statements = (net.statement(Role.GATEWAY, net.gateway, END_MS), net.statements[1])
    inputs, outcome = net.close_with_inputs()
    for time_ms, why in ((CLOSE_MS, "in force"), (END_MS - 1, "before the epoch closed")):
        attestation = net.attest(DAY, outcome.manifest_hash, time_ms=time_ms)
        report = audit_bundle(bundle_sections(inputs, outcome, attestation))
        assert why in failed(report)["attestation"]


def test_a_hello_with_the_key_of_another_device_is_caught():
    net = Net()
    board, other = net.station(), net.board("other")
    body = [other.public_key, "cairn", board.declared, [0, 0, 0], bytes(32), board.cell, None]
    net.admit(board.make(Kind.HELLO, body, START_MS + 5), START_MS + 6)
    assert "key of another device" in failed(audit_bundle(net.bundle()))["messages"]


def test_a_network_that_begins_anew_is_caught():
    net = Net()
    net.close()
    sections = {**net.bundle(), "opening": b""}
    epoch = load(sections["epoch"])
    sections["epoch"] = encode([epoch[0], 1, bytes(32), *epoch[3:]])
    assert "the first epoch of this network is" in failed(audit_bundle(sections))["inputs"]


def test_a_chain_is_audited_from_its_first_epoch():
    report = audit_chain([first(), second()])
    assert report.ok
    assert [check.name for check in report.links] == ["first epoch", f"link to epoch {DAY + 1}"]
    assert not audit_chain([second()]).ok
    assert not audit_chain([]).ok
    assert not audit_chain([second(), first()]).ok


def test_a_forged_opening_state_passes_alone_and_fails_in_the_chain():
    sections = second()
    opening = decode_state(sections["opening"])
    richer = encode_state(replace(opening, cumulative={OWNER: 10**24}))
    forged = closed_again(sections, opening=richer)
    assert audit_bundle(forged).ok
    report = audit_chain([first(), forged])
    assert not report.ok
    assert "not the closing state" in report.links[1].detail


def test_numbers_beyond_every_claim_are_a_value_and_no_crash():
    sections = second()
    opening = decode_state(sections["opening"])
    huge = encode_state(replace(opening, cumulative={OWNER: 2**256 - 1}))
    report = audit_bundle({**sections, "opening": huge})
    assert "leave their range" in failed(report)["recomputed"]
    assert (report.ok, report.root, report.epoch) == (False, bytes(32), -1)


# Few, because an audit that gets far closes the epoch; the readers have tests of their own.
@settings(max_examples=300)
@given(data=st.data())
def test_mutated_sections_never_crash_and_never_pass(data):
    sections = first()
    # Tables are compared by hash; mutating them costs a parse of 89 kB each and shows less.
    name = data.draw(st.sampled_from(sorted(set(sections) - {"table.trig"})))
    changed = bytearray(sections[name])
    position = data.draw(st.integers(0, max(len(changed) - 1, 0)))
    changed[position : position + 1] = data.draw(st.binary(max_size=2))
    if bytes(changed) != sections[name]:
        assert not audit_bundle({**sections, name: bytes(changed)}).ok


@pytest.mark.parametrize("name", sorted(network()[1]))
def test_an_empty_section_never_crashes_and_never_passes(name):
    changed = {**second(), name: b""}
    # These days had no entropy, so no bytes are what belongs there.
    assert audit_bundle(changed).ok is (name == "entropy")
    assert audit_chain([first(), changed]).ok is (name == "entropy")
    absent = second()
    del absent[name]
    assert audit_bundle(absent).ok is (name == "attestation")


def test_damage_is_named_down_to_the_message():
    sections = first()
    file = write_bundle(sections, stored)
    inputs = inputs_of(sections)
    for message_id in sorted(inputs.messages)[::9]:
        data = inputs.messages[message_id]
        position = file.index(data) + 40
        changed = bytearray(file)
        changed[position] ^= 1
        damage = read_bundle(bytes(changed), unstored)
        assert isinstance(damage, Damage)
        assert name_damage(damage) == f"section messages, message {message_id.hex()}"


@pytest.mark.parametrize("raw", [None, b"", b"\x00", b"\x81\x00", b"\x80", b"\x81\x40"])
def test_damage_that_nobody_can_read_keeps_its_section(raw):
    intact = {name: content for name, content in first().items() if name != "messages"}
    for known in (intact, {}, None, {**intact, "admission": b"\x81\x80"}):
        named = name_damage(Damage("section messages", "", raw, known))
        assert named.startswith("section messages")
    assert name_damage(Damage("header", "")) == "header"
