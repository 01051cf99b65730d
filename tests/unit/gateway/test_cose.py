import pytest

from gateway.core.cbor_profile import DEPTH_MAX, encode, load, violation
from gateway.core.cose import Envelope, Role, open_envelope, sign1
from gateway.core.verdicts import Verdict
from tests.unit.gateway.stations import NETWORK, Signer

# RFC 8949 appendix A and section 4.2.1.
IN_PROFILE = (
    "00",
    "17",
    "1818",
    "1903e8",
    "1a000f4240",
    "1bffffffffffffffff",
    "20",
    "3b7fffffffffffffff",
    "40",
    "4401020304",
    "6449455446",
    "62c3bc",
    "80",
    "83010203",
    "f6",
)
OUTSIDE = {
    "": Verdict.TRUNCATED,
    "18": Verdict.TRUNCATED,
    "8301": Verdict.TRUNCATED,
    "4401": Verdict.TRUNCATED,
    "0000": Verdict.TRAILING_BYTES,
    "1817": Verdict.NON_MINIMAL_INTEGER,
    "1900ff": Verdict.NON_MINIMAL_INTEGER,
    "1a0000ffff": Verdict.NON_MINIMAL_INTEGER,
    "1b00000000ffffffff": Verdict.NON_MINIMAL_INTEGER,
    "5803010203": Verdict.NON_MINIMAL_INTEGER,
    "f93c00": Verdict.FLOAT,
    "fa47c35000": Verdict.FLOAT,
    "fb3ff199999999999a": Verdict.FLOAT,
    "9fff": Verdict.INDEFINITE_LENGTH,
    "5f42010243030405ff": Verdict.INDEFINITE_LENGTH,
    "bfff": Verdict.INDEFINITE_LENGTH,
    "ff": Verdict.INDEFINITE_LENGTH,
    "f4": Verdict.UNSUPPORTED_TYPE,
    "f5": Verdict.UNSUPPORTED_TYPE,
    "f7": Verdict.UNSUPPORTED_TYPE,
    "f0": Verdict.UNSUPPORTED_TYPE,
    "f8ff": Verdict.UNSUPPORTED_TYPE,
    "c11a514b67b0": Verdict.UNSUPPORTED_TYPE,
    "c249010000000000000000": Verdict.UNSUPPORTED_TYPE,
    "d9d9f700": Verdict.UNSUPPORTED_TYPE,
    "3b8000000000000000": Verdict.UNSUPPORTED_TYPE,
    "a10102": Verdict.UNSUPPORTED_TYPE,
    "1c": Verdict.UNSUPPORTED_TYPE,
    "61ff": Verdict.BAD_TEXT,
    "62c080": Verdict.BAD_TEXT,
    "63eda080": Verdict.BAD_TEXT,
    "a201020103": Verdict.DUPLICATE_KEY,
    "81" * 8 + "80": Verdict.TOO_DEEP,
}


@pytest.mark.parametrize("text", IN_PROFILE)
def test_what_is_in_the_profile_loads(text):
    data = bytes.fromhex(text)
    assert violation(data) is None
    assert encode(load(data)) == data


@pytest.mark.parametrize("text", OUTSIDE)
def test_each_violation_has_its_verdict(text):
    assert violation(bytes.fromhex(text)) is OUTSIDE[text]


def test_depth_counts_the_outermost():
    deepest = b"\x81" * DEPTH_MAX + b"\x00"
    assert violation(deepest) is None
    assert encode(load(deepest)) == deepest
    assert violation(b"\x81" + deepest) is Verdict.TOO_DEEP
    assert load(b"\x81" + deepest) is Verdict.TOO_DEEP


@pytest.mark.parametrize("tag", ["c0", "c1", "c4", "c5", "d81c", "d81e", "d823", "d90102"])
def test_no_tag_is_ever_built(tag):
    """cbor2 would make dates, patterns and numbers of any size of these."""
    assert load(bytes.fromhex(tag + "8201" + "1b00000000ffffffff")) in {
        Verdict.UNSUPPORTED_TYPE,
        Verdict.NON_MINIMAL_INTEGER,
    }


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 3_999])
def test_envelopes_of_every_head_size_go_there_and_back(size):
    signer = Signer()
    payload = b"p" * size
    data, message_id = sign1(signer.sign, signer.kid, NETWORK, Role.DEVICE, payload)
    opened = open_envelope(data, NETWORK, Role.DEVICE)
    assert isinstance(opened, Envelope)
    assert (opened.kid, opened.payload, opened.message_id) == (signer.kid, payload, message_id)
    assert opened.to_be_signed == encode(
        [
            "Signature1",
            encode({1: -8, 4: signer.kid}),
            encode(["cairn", 1, NETWORK, "device"]),
            payload,
        ]
    )


def test_the_signature_is_not_in_the_id_but_role_and_network_are():
    signer = Signer()
    data, message_id = sign1(signer.sign, signer.kid, NETWORK, Role.DEVICE, b"")
    other_signature = data[:-64] + bytes(64)
    assert open_envelope(other_signature, NETWORK, Role.DEVICE).message_id == message_id
    ids = {
        open_envelope(data, network, role).message_id
        for network in (NETWORK, b"othernet")
        for role in Role
    }
    assert len(ids) == 2 * len(Role)


def test_signing_too_much_is_the_callers_bug():
    signer = Signer()
    with pytest.raises(ValueError, match="cannot sign"):
        sign1(signer.sign, signer.kid, NETWORK, Role.DEVICE, bytes(4_003))
    with pytest.raises(ValueError, match="cannot sign"):
        sign1(signer.sign, signer.kid[:8], NETWORK, Role.DEVICE, b"")
