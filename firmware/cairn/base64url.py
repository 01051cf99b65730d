"""Base64url without padding (RFC 4648 section 5): bytes in URLs and in MQTT passwords."""

from binascii import b2a_base64


def encode(data: bytes) -> str:
    text = b2a_base64(data).decode().strip().rstrip("=")
    return text.replace("+", "-").replace("/", "_")
