"""COSE_Sign1: the envelope's bytes, and a distinct refusal for each departure from the profile."""

import hashlib

import cbor2
import pytest
from cairn import cose
from cairn.ed25519 import Signer

NETWORK = bytes(range(8))
SIGNER = Signer(bytes(32))
KID = cose.kid_of(SIGNER.public_key)
PAYLOAD = b"\x83\x01\x02\x03"


def message(payload=PAYLOAD, role="device", network_id=NETWORK):
    return cose.sign1(SIGNER.sign, KID, network_id, role, payload)


def rebuilt(change):
    items = list(cbor2.loads(message()[0]).value)
    change(items)
    return cbor2.dumps(cbor2.CBORTag(18, items))


def code_of(data, network_id=NETWORK, role="device"):
    with pytest.raises(cose.CoseError) as caught:
        cose.open1(data, network_id, role)
    return caught.value.code


def test_envelope_as_another_library_reads_it():
    data, id32 = message()
    header = cbor2.dumps({1: -8, 4: KID})
    tag = cbor2.loads(data)
    assert tag.tag == 18
    protected, unprotected, payload, signature = tag.value
    assert (protected, unprotected, payload) == (header, {}, PAYLOAD)
    aad = cbor2.dumps(["cairn", 1, NETWORK, "device"])
    to_be_signed = cbor2.dumps(["Signature1", header, aad, PAYLOAD])
    assert signature == SIGNER.sign(to_be_signed)
    assert id32 == hashlib.sha256(to_be_signed).digest()


def test_open_gives_back_what_was_signed():
    data, id32 = message()
    opened = cose.open1(data, NETWORK, "device")
    assert (opened.kid, opened.payload) == (KID, PAYLOAD)
    assert opened.signature == data[-64:] == SIGNER.sign(opened.to_be_signed)
    assert cose.message_id(opened.to_be_signed) == id32


def test_id_does_not_depend_on_the_signature():
    hedged = cose.sign1(lambda m: SIGNER.sign(m, bytes(32)), KID, NETWORK, "device", PAYLOAD)
    assert hedged[0] != message()[0]
    assert hedged[1] == message()[1]


def test_role_and_network_are_bound():
    structures = {
        cose.open1(message()[0], network_id, role).to_be_signed
        for network_id in (NETWORK, bytes(8))
        for role in cose.ROLES
    }
    assert len(structures) == 2 * len(cose.ROLES) == 18


def set_item(index, value):
    def change(items):
        items[index] = value

    return change


REFUSED = [
    (set_item(0, b""), "truncated"),
    (set_item(0, {}), "protected"),
    (set_item(0, cbor2.dumps({1: -8})), "protected"),
    (set_item(0, cbor2.dumps({1: -7, 4: KID})), "protected"),
    (set_item(0, cbor2.dumps({1: -8, 4: KID[:15]})), "protected"),
    (set_item(0, cbor2.dumps({1: -8, 4: "kid"})), "protected"),
    (set_item(0, cbor2.dumps({1: -8, 4: KID, 5: b""})), "protected"),
    (set_item(0, cbor2.dumps([1, -8])), "protected"),
    (set_item(0, b"\xa2\x04\x50" + KID + b"\x01\x27"), "unsorted_key"),
    (set_item(0, b"\xa2\x01\x27\x01\x27"), "duplicate_key"),
    (set_item(0, cbor2.dumps({1: -8, 4: KID}) + b"\x00"), "trailing_bytes"),
    (set_item(1, {4: KID}), "unprotected"),
    (set_item(1, []), "unprotected"),
    (set_item(1, None), "unprotected"),
    (set_item(2, None), "payload"),
    (set_item(2, "text"), "payload"),
    (set_item(3, bytes(63)), "signature_length"),
    (set_item(3, bytes(65)), "signature_length"),
    (set_item(3, None), "signature_length"),
    (lambda items: items.append(0), "not_sign1"),
    (lambda items: items.pop(), "not_sign1"),
]


@pytest.mark.parametrize("change, code", REFUSED)
def test_refused(change, code):
    assert code_of(rebuilt(change)) == code


def test_refused_as_a_whole():
    data = message()[0]
    assert code_of(b"") == "not_sign1"
    assert code_of(data[1:]) == "not_sign1"
    assert code_of(b"\xd8\x12" + data[1:]) == "not_sign1"
    assert code_of(b"\xd2\x00") == "not_sign1"
    assert code_of(data[:-1]) == "truncated"
    assert code_of(data + b"\x00") == "trailing_bytes"
    assert code_of(data + bytes(4096)) == "oversize"


def test_size_limit_is_exact():
    overhead = len(message(bytes(1000))[0]) - 1000
    largest = message(bytes(4096 - overhead))[0]
    assert len(largest) == 4096
    assert cose.open1(largest, NETWORK, "device").payload == bytes(4096 - overhead)
    with pytest.raises(cose.CoseError, match="oversize"):
        message(bytes(4097 - overhead))


def test_operator_faults():
    with pytest.raises(ValueError, match="network id"):
        cose.external_aad(bytes(7), "device")
    with pytest.raises(ValueError, match="role"):
        cose.external_aad(NETWORK, "owner ")
    with pytest.raises(ValueError, match="kid"):
        cose.protected(bytes(15))
    with pytest.raises(cose.CoseError, match="signature_length"):
        cose.sign1(lambda _: b"", KID, NETWORK, "device", PAYLOAD)
