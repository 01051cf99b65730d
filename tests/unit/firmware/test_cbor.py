"""The closed CBOR profile: what it writes, and a distinct refusal for each way to break it."""

import pytest
from cairn import cbor

# RFC 8949 appendix A, as far as the profile reaches.
RFC_EXAMPLES = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-1, "20"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("IETF", "6449455446"),
    ("ü", "62c3bc"),
    ("水", "63e6b0b4"),
    ("𐅑", "64f0908591"),
    ([], "80"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({1: 2, 3: 4}, "a201020304"),
]

REFUSED = [
    ("", "truncated"),
    ("18", "truncated"),
    ("1901", "truncated"),
    ("4201", "truncated"),
    ("6261", "truncated"),
    ("8201", "truncated"),
    ("a101", "truncated"),
    ("a1", "truncated"),
    ("9bffffffffffffffff", "truncated"),
    ("5bffffffffffffffff", "truncated"),
    ("0000", "trailing_bytes"),
    ("80f6", "trailing_bytes"),
    ("1817", "non_minimal_integer"),
    ("1900ff", "non_minimal_integer"),
    ("1a0000ffff", "non_minimal_integer"),
    ("1b00000000ffffffff", "non_minimal_integer"),
    ("3800", "non_minimal_integer"),
    ("580161", "non_minimal_integer"),
    ("780161", "non_minimal_integer"),
    ("980100", "non_minimal_integer"),
    ("b8010000", "non_minimal_integer"),
    ("f90000", "float"),
    ("fa47c35000", "float"),
    ("fb3ff199999999999a", "float"),
    ("5f4101ff", "indefinite_length"),
    ("7f6161ff", "indefinite_length"),
    ("9fff", "indefinite_length"),
    ("bfff", "indefinite_length"),
    ("ff", "indefinite_length"),
    ("a201000100", "duplicate_key"),
    ("a202000100", "unsorted_key"),
    ("c000", "tag"),
    ("d28440a04040", "tag"),
    ("818181818181818181" + "00", "too_deep"),
    ("8181818181818181a0", "too_deep"),
    ("61ff", "bad_text"),
    ("61c3", "bad_text"),
    ("62c080", "bad_text"),
    ("63e08080", "bad_text"),
    ("63eda080", "bad_text"),
    ("64f0808080", "bad_text"),
    ("64f4908080", "bad_text"),
    ("64f0908541", "bad_text"),
    ("f4", "simple_value"),
    ("f5", "simple_value"),
    ("f7", "simple_value"),
    ("f820", "simple_value"),
    ("e0", "simple_value"),
    ("a1616101", "map"),
    ("a12001", "map"),
    ("a1181801", "map"),
    ("3bffffffffffffffff", "integer_range"),
    ("3b8000000000000000", "integer_range"),
    ("1c", "reserved"),
    ("9e", "reserved"),
    ("fc", "reserved"),
]


@pytest.mark.parametrize("value, encoded", RFC_EXAMPLES)
def test_rfc_examples(value, encoded):
    assert cbor.encode(value).hex() == encoded
    assert cbor.decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize("data, code", REFUSED)
def test_refused(data, code):
    with pytest.raises(cbor.CborError) as caught:
        cbor.decode(bytes.fromhex(data))
    assert caught.value.code == code


def test_every_documented_code_is_refused_somewhere():
    documented = str(cbor.CborError.__doc__)
    for _, code in REFUSED:
        assert code in documented


@pytest.mark.parametrize("value", [-(2**63), 2**63, 2**64 - 1, -(2**63) + 1])
def test_integer_limits(value):
    assert cbor.decode(cbor.encode(value)) == value


@pytest.mark.parametrize("value", [-(2**63) - 1, 2**64, {24: 0}, {-1: 0}, {"a": 0}, "\ud800"])
def test_unencodable_value(value):
    with pytest.raises(ValueError, match=r"."):
        cbor.encode(value)


@pytest.mark.parametrize("value", [1.0, True, [False], object(), {1}, bytearray(b"a")])
def test_unencodable_type(value):
    with pytest.raises(TypeError):
        cbor.encode(value)


def test_depth_limit():
    nested = 0
    for _ in range(8):
        nested = [nested]
    assert cbor.decode(cbor.encode(nested)) == nested
    with pytest.raises(cbor.CborError, match="too_deep"):
        cbor.decode(cbor.encode(nested), depth_max=7)


def test_map_keys_are_written_in_order():
    assert cbor.encode({4: b"", 1: -8, 23: None, 0: 0}).hex() == "a400000127044017f6"


def test_tuples_are_arrays():
    assert cbor.encode((1, (2,))) == cbor.encode([1, [2]])
