"""The password with which a board logs in at the gateway's endpoint (spec/protocol.md section 7).

Every login needs a counter above all that this key has used; the gateway refuses the others. The
file "login" holds CBOR [first counter that is not reserved]; chain.create() removes it with the
key it belongs to, so that a new key starts at 1.

A file that was lost or came back old (worn flash, a restored image) must not lock the station
out. No clock and no random number is asked for a value above the forgotten one: a board may know
no time before it is logged in, and a random start is above an earlier random start only half the
time. Instead every refused login jumps ahead by JUMP, more logins than a station makes in its
life: after the first loss one refusal heals it, after the n-th at most n. The counter has room
for 2^29 jumps, 170 years of a refusal every ten seconds.

What is weak: a gateway cannot tell a station that was set back from a thief who copied its key.
A login that was overheard on a connection without TLS works for whoever gets it to the gateway
before the station itself; it cannot sign messages.
"""

from . import base64url, cbor, cose, limits, sealed
from .identity import device_id, device_name

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .boards.base import Files

FILE = "login"
NONCE_BYTES = 8
JUMP = 1 << 24


class Login:
    """device_name: client id and user name of every login."""

    def __init__(
        self,
        files: "Files",
        sign: "Callable[[bytes], bytes]",
        public_key: bytes,
        network_id: bytes,
    ) -> None:
        self._files = files
        self._sign = sign
        self._public_key = public_key
        self._network_id = network_id
        self.device_name = device_name(device_id(public_key))
        self._next = self._reserved = _first(files)

    def password(self, nonce: bytes) -> str:
        """A password for one attempt; nonce: 8 fresh random bytes. OSError: the storage failed,
        and the board must restart.
        """
        if len(nonce) != NONCE_BYTES:
            raise ValueError("a login's nonce is 8 bytes")
        counter = self._next
        if counter == self._reserved:
            # Reserved before it is used: a power cut wastes a block and repeats no counter.
            end = counter + limits.LOGIN_BLOCK
            sealed.write(self._files, FILE, cbor.encode([end]))
            self._reserved = end
        self._next = counter + 1
        payload = cbor.encode([self._network_id, counter, nonce, self._public_key])
        kid = device_id(self._public_key)
        return base64url.encode(cose.sign1(self._sign, kid, self._network_id, "login", payload)[0])

    def refused(self) -> None:
        """The last password was not taken: the counter may be behind what the gateway knows."""
        ahead = self._next + JUMP
        if ahead + limits.LOGIN_BLOCK <= limits.INT_MAX:
            self._next = self._reserved = ahead


def _first(files: "Files") -> int:
    stored = sealed.read(files, FILE)
    if stored:
        first: int = cbor.decode(stored)[0]
        return first
    return 1 if files.read(FILE) is None else 1 + JUMP
