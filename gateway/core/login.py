"""The login of a device or an operator (protocol section 7): what a password must be.

Pure: bytes and texts in, a `Login` or the word for its refusal out. It does not know whether a
device is registered, whether a counter has risen, or which operator key is in force.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from gateway.core.cbor_profile import encode, load
from gateway.core.cose import Envelope, Role, open_envelope, sign1
from gateway.core.downlink import Downlink
from gateway.core.genesis import NETWORK_ID_BYTES
from gateway.core.ids import device_id, parse_device
from gateway.core.verdicts import Verdict
from gateway.core.verify import PUBLIC_KEY_BYTES, key_acceptable, signature_valid

PASSWORD_CHARACTERS_MAX = 512
NONCE_BYTES = 8
COUNTER_MAX = (1 << 53) - 1


class LoginRefusal(StrEnum):
    """Why a login is refused. The words are stable: logs and metrics show them."""

    BAD_TOKEN = "bad_token"  # noqa: S105 - a word, no secret
    BAD_NAME = "bad_name"
    WRONG_NETWORK = "wrong_network"
    WRONG_ID = "wrong_id"
    WEAK_KEY = "weak_key"
    BAD_SIGNATURE = "bad_signature"
    COUNTER = "counter"
    ADDRESS_LIMIT = "address_limit"
    UNAVAILABLE = "unavailable"


GRANTED = "granted"


class Login(NamedTuple):
    """A password that holds. counter: must be above every one that this id has used."""

    device: bytes
    public_key: bytes
    counter: int


class LoginRequest(NamedTuple):
    """What a CONNECT brings. address: of the peer, for the limit on unregistered ids."""

    client_id: str
    user_name: str
    password: bytes
    address: str


class LoginResult(NamedTuple):
    """The answer to a CONNECT.

    device: the id that logged in (of an operator: the id of its key), b"" if refused. reason:
    GRANTED or a LoginRefusal. registered: known to the registry, or an operator; only other
    logins count against their address. retained: to be sent when the device subscribes.
    """

    granted: bool
    device: bytes
    operator: bool
    reason: str
    retained: tuple[Downlink, ...] = ()
    registered: bool = False


def refused(reason: LoginRefusal) -> LoginResult:
    return LoginResult(granted=False, device=b"", operator=False, reason=reason.value)


def open_login(
    password: str, client_id: str, user_name: str, network_id: bytes
) -> Login | LoginRefusal:
    """Check everything of a login that needs no state; never raises for any text."""
    device = parse_device(client_id)
    if device is None or client_id != user_name:
        return LoginRefusal.BAD_NAME
    token = _token(password)
    envelope = None if token is None else open_envelope(token, network_id, Role.LOGIN)
    if envelope is None or isinstance(envelope, Verdict):
        return LoginRefusal.BAD_TOKEN
    fields = load(envelope.payload)
    match fields:
        case [bytes(network), int(counter), bytes(nonce), bytes(key)] if (
            # A boolean is an int to `match`.
            type(counter) is int and len(network) == NETWORK_ID_BYTES
        ):
            pass
        case _:
            return LoginRefusal.BAD_TOKEN
    if (len(nonce), len(key)) != (NONCE_BYTES, PUBLIC_KEY_BYTES):
        return LoginRefusal.BAD_TOKEN
    if not 1 <= counter <= COUNTER_MAX:
        return LoginRefusal.BAD_TOKEN
    if network != network_id:
        return LoginRefusal.WRONG_NETWORK
    if not device == envelope.kid == device_id(key):
        return LoginRefusal.WRONG_ID
    return _checked_key(key, envelope) or Login(device, key, counter)


def login_password(
    sign: Callable[[bytes], bytes],
    public_key: bytes,
    network_id: bytes,
    counter: int,
    nonce8: bytes,
) -> str:
    """The password of one login: sign(to_be_signed) -> 64 bytes, 8 random bytes as nonce."""
    payload = encode([network_id, counter, nonce8, public_key])
    data, _ = sign1(sign, device_id(public_key), network_id, Role.LOGIN, payload)
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _checked_key(key: bytes, envelope: Envelope) -> LoginRefusal | None:
    if not key_acceptable(key):
        return LoginRefusal.WEAK_KEY
    if not signature_valid(key, envelope.signature, envelope.to_be_signed):
        return LoginRefusal.BAD_SIGNATURE
    return None


def _token(password: str) -> bytes | None:
    """The bytes that have this text as their only spelling in unpadded base64url."""
    if len(password) > PASSWORD_CHARACTERS_MAX or not password.isascii():
        return None
    try:
        token = urlsafe_b64decode(password + "=" * (-len(password) % 4))
    except ValueError:
        return None
    # The decoder skips foreign characters, and the last one holds spare bits.
    return token if urlsafe_b64encode(token).rstrip(b"=").decode() == password else None
