from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ids import device_id, device_name, owner_id, parse_device


def test_device_id_is_the_start_of_the_keys_hash():
    assert device_id(bytes(32)) == sha256(bytes(32)).digest()[:16]


def test_name_of_a_known_id():
    # RFC 4648 section 10 gives "foobar" as MZXW6YTBOI======.
    assert device_name(b"foobar" + bytes(10)).startswith("mzxw6ytboi"[:9])
    assert device_name(bytes(16)) == "a" * 26


@given(st.binary(min_size=16, max_size=16))
def test_names_go_there_and_back(device):
    assert parse_device(device_name(device)) == device
    assert len(device_name(device)) == 26


@given(
    st.text(max_size=30) | st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26)
)
def test_a_text_is_a_name_only_in_its_one_spelling(text):
    device = parse_device(text)
    assert device is None or device_name(device) == text


def test_upper_case_padding_and_stray_bits_are_no_names():
    assert parse_device("A" * 26) is None
    assert parse_device("a" * 26 + "======") is None
    # The last character's two spare bits are set.
    assert parse_device("a" * 25 + "b") is None


def test_owner_id_of_an_ethereum_style_key():
    # keccak256 of 32 zero bytes, known from every Solidity tutorial: 0x290decd9...f3e563.
    keccak_of_zeros = "290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563"
    assert owner_id(bytes(32)).hex() == keccak_of_zeros[-40:]
