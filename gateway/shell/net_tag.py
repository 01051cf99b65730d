"""The tag that says "from the same network" without saying from which (protocol section 9).

It is logged with every message, so it must not give addresses away: a keyed hash of the sender's
prefix, /24 for IPv4 and /48 for IPv6 (what one subscriber usually gets). The key is derived from
the gateway's, so tags of two gateways cannot be compared, and whoever has only a bundle cannot
try all prefixes.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable

TAG_BYTES = 8
_LABEL = b"cairn net tag 1"
_PREFIX_BITS = {4: 24, 6: 48}


def net_tagger(gateway_seed: bytes) -> Callable[[str], bytes]:
    """A function from a sender's address to its tag; b"" for what is no address."""
    key = hmac.digest(gateway_seed, _LABEL, "sha256")

    def tag(address: str) -> bytes:
        prefix = _prefix(address)
        return hmac.digest(key, prefix, hashlib.sha256)[:TAG_BYTES] if prefix else b""

    return tag


def _prefix(address: str) -> bytes:
    try:
        # A link-local address carries its interface behind a percent sign.
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return b""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    bits = _PREFIX_BITS[found.version]
    network = ipaddress.ip_network((found, bits), strict=False)
    return bytes([found.version]) + network.network_address.packed[: bits // 8]
