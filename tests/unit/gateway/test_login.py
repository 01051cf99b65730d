"""The password of a login: what is opened, and the word for everything that is not."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from gateway.core.cbor_profile import encode
from gateway.core.cose import Role, sign1
from gateway.core.ids import device_id, device_name
from gateway.core.login import (
    COUNTER_MAX,
    PASSWORD_CHARACTERS_MAX,
    Login,
    LoginRefusal,
    login_password,
    open_login,
)
from tests.spec.vector_files import CASES

NETWORK = b"network1"
KEY = SigningKey(hashlib.sha256(b"a station").digest())
PUBLIC = bytes(KEY.verify_key)
DEVICE = device_id(PUBLIC)
NAME = device_name(DEVICE)
NONCE = bytes(range(8))


def sign(data):
    return KEY.sign(data).signature


def password_of(fields, network=NETWORK, role=Role.LOGIN, kid=DEVICE):
    data, _ = sign1(sign, kid, network, role, encode(fields))
    return text_of(data)


def text_of(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def opened(password, client=NAME, user=NAME, network=NETWORK):
    return open_login(password, client, user, network)


GOOD = login_password(sign, PUBLIC, NETWORK, 7, NONCE)


def test_what_login_password_makes_is_opened():
    assert opened(GOOD) == Login(DEVICE, PUBLIC, 7)


def test_the_longest_password_that_can_be_needed_is_within_the_limit():
    longest = login_password(sign, PUBLIC, NETWORK, COUNTER_MAX, NONCE)
    assert opened(longest) == Login(DEVICE, PUBLIC, COUNTER_MAX)
    assert len(longest) <= PASSWORD_CHARACTERS_MAX


def test_the_vector_is_opened():
    (case,) = [case for case in CASES if case.folder == "login"]
    name = device_name(case.device)
    login = open_login(text_of(case.bytes), name, name, case.network_id)
    assert login == Login(case.device, case.public_key, 64)


@pytest.mark.parametrize("counter", [0, -1, COUNTER_MAX + 1, 1 << 63, True, None, "1", b"1", [1]])
def test_a_counter_outside_its_range_is_no_token(counter):
    assert opened(password_of([NETWORK, counter, NONCE, PUBLIC])) is LoginRefusal.BAD_TOKEN


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [NETWORK, 7, NONCE],
        [NETWORK, 7, NONCE, PUBLIC, None],
        [NETWORK, 7, NONCE[:-1], PUBLIC],
        [NETWORK, 7, NONCE + b"x", PUBLIC],
        [NETWORK, 7, NONCE, PUBLIC[:-1]],
        [NETWORK[:-1], 7, NONCE, PUBLIC],
        [NETWORK.decode(), 7, NONCE, PUBLIC],
        {1: 7},
        7,
    ],
)
def test_other_shapes_are_no_token(fields):
    assert opened(password_of(fields)) is LoginRefusal.BAD_TOKEN


@pytest.mark.parametrize(
    "client, user",
    [
        ("", ""),
        (NAME, ""),
        (NAME, NAME.upper()),
        (NAME.upper(), NAME.upper()),
        (NAME + "a", NAME + "a"),
        (NAME[:-1] + "7", NAME[:-1] + "7"),
        ("gateway", "gateway"),
        ("é" * 26, "é" * 26),
    ],
)
def test_client_id_and_user_name_are_the_one_name_of_the_device(client, user):
    assert opened(GOOD, client, user) is LoginRefusal.BAD_NAME


def test_somebody_elses_name_is_the_wrong_id():
    other = device_name(device_id(b"other" * 7))
    assert opened(GOOD, other, other) is LoginRefusal.WRONG_ID


def test_the_kid_is_the_id_of_the_key_inside():
    other = bytes(SigningKey(bytes(32)).verify_key)
    assert opened(password_of([NETWORK, 7, NONCE, other])) is LoginRefusal.WRONG_ID
    kid = device_id(other)
    name = device_name(kid)
    foreign = password_of([NETWORK, 7, NONCE, PUBLIC], kid=kid)
    assert opened(foreign, name, name) is LoginRefusal.WRONG_ID


def test_a_password_for_another_network_is_named_as_such():
    password = login_password(sign, PUBLIC, b"network2", 7, NONCE)
    assert opened(password) is LoginRefusal.WRONG_NETWORK


def test_the_network_is_in_the_signature_and_not_only_in_the_payload():
    password = password_of([NETWORK, 7, NONCE, PUBLIC], network=b"network2")
    assert opened(password) is LoginRefusal.BAD_SIGNATURE


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.LOGIN])
def test_a_signature_for_another_role_is_none(role):
    password = password_of([NETWORK, 7, NONCE, PUBLIC], role=role)
    assert opened(password) is LoginRefusal.BAD_SIGNATURE


def test_a_small_order_key_under_which_anything_verifies_is_weak():
    weak = bytes([1]) + bytes(31)
    kid = device_id(weak)
    payload = encode([NETWORK, 7, NONCE, weak])
    data, _ = sign1(lambda _: weak + bytes(32), kid, NETWORK, Role.LOGIN, payload)
    name = device_name(kid)
    assert open_login(text_of(data), name, name, NETWORK) is LoginRefusal.WEAK_KEY


@pytest.mark.parametrize(
    "spelling",
    [
        lambda text: text + "=" * (-len(text) % 4 or 4),
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:50] + "!" + text[50:],
        lambda text: text.replace("_", "/").replace("-", "+") + "*",
        lambda text: text[:-1] + "é",
        lambda text: text + "A" * PASSWORD_CHARACTERS_MAX,
        lambda _: "",
        lambda text: text[:-1],
    ],
)
def test_there_is_one_spelling(spelling):
    other = spelling(GOOD)
    assert other != GOOD
    assert opened(other) is LoginRefusal.BAD_TOKEN


@pytest.mark.parametrize("counter", [7, 24, 300])
def test_spare_bits_of_the_last_character_are_zero(counter):
    # The three counters make the three lengths modulo 3, so one of them has no spare bits.
    password = login_password(sign, PUBLIC, NETWORK, counter, NONCE)
    spellings = [password[:-1] + chr(code) for code in range(128)]
    assert [text for text in spellings if isinstance(opened(text), Login)] == [password]


@given(st.data())
def test_a_changed_byte_never_logs_in(data):
    token = bytearray(urlsafe_b64decode(GOOD + "=" * (-len(GOOD) % 4)))
    index = data.draw(st.integers(0, len(token) - 1))
    token[index] ^= data.draw(st.integers(1, 255))
    assert isinstance(opened(text_of(bytes(token))), LoginRefusal)


@given(st.text(max_size=600), st.text(max_size=40))
def test_any_text_is_answered(password, name):
    assert isinstance(open_login(password, name, name, NETWORK), LoginRefusal)
    assert isinstance(opened(password), LoginRefusal)


@given(st.binary(max_size=400))
def test_any_bytes_are_answered(data):
    assert isinstance(opened(text_of(data)), LoginRefusal)
