"""COSE_Sign1 (RFC 9052 section 4.2) in the one form that Cairn signs: spec/protocol.md section 2.

Owns the envelope, the bytes that are signed and the message id. It holds no key, checks no
signature and does not look into payloads.
"""

from hashlib import sha256

from . import cbor

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE_BYTES_MAX = 4096
KID_BYTES = 16
NETWORK_ID_BYTES = 8
SIGNATURE_BYTES = 64
PROTOCOL_MAJOR = 1
ROLES = (
    "root",
    "device",
    "login",
    "claim",
    "owner",
    "gateway",
    "operator",
    "release",
    "auditor",
)

_TAG_SIGN1 = b"\xd2"
_HEADER_ALG = 1
_HEADER_KID = 4
_ALG_EDDSA = -8


class CoseError(ValueError):
    """A refused envelope. `code` is one of: oversize, not_sign1, protected, unprotected, payload,
    signature_length, or a code of cbor.CborError.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Sign1:
    """An opened envelope: kid (16 bytes), payload, signature (64 bytes), and to_be_signed, the
    Sig_structure that the signature must cover. Opened is not verified.
    """

    def __init__(self, kid: bytes, payload: bytes, signature: bytes, to_be_signed: bytes) -> None:
        self.kid = kid
        self.payload = payload
        self.signature = signature
        self.to_be_signed = to_be_signed


def kid_of(public_key: bytes) -> bytes:
    """First 16 bytes of SHA-256(public key): the key id of every role, and the device id."""
    return sha256(public_key).digest()[:KID_BYTES]


def external_aad(network_id: bytes, role: str) -> bytes:
    """CBOR of ["cairn", 1, network id, role]; binds a signature to one network and one use."""
    if len(network_id) != NETWORK_ID_BYTES:
        raise ValueError("network id is not 8 bytes")
    if role not in ROLES:
        raise ValueError("unknown signing role " + role)
    return cbor.encode(["cairn", PROTOCOL_MAJOR, network_id, role])


def protected(kid: bytes) -> bytes:
    """The protected header {1: -8, 4: kid} as bytes."""
    if len(kid) != KID_BYTES:
        raise ValueError("kid is not 16 bytes")
    return cbor.encode({_HEADER_ALG: _ALG_EDDSA, _HEADER_KID: kid})


def sig_structure(protected_header: bytes, aad: bytes, payload: bytes) -> bytes:
    """The bytes that are signed (RFC 9052 section 4.4, context "Signature1")."""
    return cbor.encode(["Signature1", protected_header, aad, payload])


def message_id(to_be_signed: bytes) -> bytes:
    """SHA-256 of the Sig_structure, 32 bytes. The signature is not part of it."""
    return sha256(to_be_signed).digest()


def sign1(
    sign: "Callable[[bytes], bytes]", kid: bytes, network_id: bytes, role: str, payload: bytes
) -> "tuple[bytes, bytes]":
    """Signs payload with sign(to_be_signed) -> 64 bytes; returns (message, message id).

    Raises CoseError("oversize") before signing if the message would exceed 4096 bytes.
    """
    header = protected(kid)
    to_be_signed = sig_structure(header, external_aad(network_id, role), payload)
    unsigned = _TAG_SIGN1 + cbor.encode([header, {}, payload, bytes(SIGNATURE_BYTES)])
    if len(unsigned) > MESSAGE_BYTES_MAX:
        raise CoseError("oversize")
    signature = sign(to_be_signed)
    if len(signature) != SIGNATURE_BYTES:
        raise CoseError("signature_length")
    return unsigned[:-SIGNATURE_BYTES] + signature, message_id(to_be_signed)


def open1(data: bytes, network_id: bytes, role: str) -> Sign1:
    """Takes an envelope apart, accepting only what sign1() makes; raises CoseError.

    The caller looks the key up by kid and verifies signature over to_be_signed.
    """
    aad = external_aad(network_id, role)
    if len(data) > MESSAGE_BYTES_MAX:
        raise CoseError("oversize")
    if data[:1] != _TAG_SIGN1:
        raise CoseError("not_sign1")
    items = _decode(data[1:])
    if not isinstance(items, list) or len(items) != 4:
        raise CoseError("not_sign1")
    header, unprotected, payload, signature = items
    kid = _kid_in(header)
    if unprotected != {}:
        raise CoseError("unprotected")
    if not isinstance(payload, bytes):
        raise CoseError("payload")
    if not isinstance(signature, bytes) or len(signature) != SIGNATURE_BYTES:
        raise CoseError("signature_length")
    return Sign1(kid, payload, signature, sig_structure(header, aad, payload))


def _kid_in(header: object) -> bytes:
    if not isinstance(header, bytes):
        raise CoseError("protected")
    entries = _decode(header)
    if (
        not isinstance(entries, dict)
        or len(entries) != 2
        or entries.get(_HEADER_ALG) != _ALG_EDDSA
    ):
        raise CoseError("protected")
    kid = entries.get(_HEADER_KID)
    if not isinstance(kid, bytes) or len(kid) != KID_BYTES:
        raise CoseError("protected")
    return kid


def _decode(data: bytes) -> object:
    try:
        return cbor.decode(data)
    except cbor.CborError as error:
        raise CoseError(error.code)
