"""Which gateway key is in force: pinned root -> key statement -> gateway message.

Keeps the newest statement in the file "keys". Verifies in slices, so that the radio is served
meanwhile.
"""

from . import cose, downlinks, sealed
from .ed25519_verify import Verification

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board

FILE = "keys"


class Keyring:
    """serial is the highest statement serial ever adopted, -1 before the first."""

    def __init__(self, board: "Board", network_id: bytes, root_key: bytes) -> None:
        self._board = board
        self._network_id = network_id
        self._root_key = root_key
        self.serial = -1
        self._verifying = False
        self._public_key = b""
        self._not_before_ms = 0
        self._not_after_ms = 0
        self._statement = sealed.read(board.fs, FILE)
        if self._statement:
            # Its signature was checked before it was stored. A damaged one comes anew, with the
            # next time answer or keys message.
            self._take(cose.open1(self._statement, network_id, "root").payload)

    async def adopt(self, statement: bytes) -> str:
        """Make a root-signed gateway statement the one in force; returns "" or why not."""
        if statement == self._statement:
            return ""
        try:
            opened = cose.open1(statement, self._network_id, "root")
            role, public_key, serial, _, _ = downlinks.parse_statement(opened.payload)
        except (cose.CoseError, downlinks.DownlinkError) as error:
            return error.code
        if opened.kid != cose.kid_of(self._root_key):
            return "root_kid"
        if role != "gateway":
            return "role"
        # One serial names one key: with two, a receipt's serial would not say who signed it.
        if serial < self.serial or (serial == self.serial and public_key != self._public_key):
            return "serial"
        if not await self.valid(self._root_key, opened):
            return "root_signature"
        # The answers of two tasks may have been checked at once; the higher one stays.
        if serial >= self.serial:
            sealed.write(self._board.fs, FILE, statement)
            self._statement = statement
            self._take(opened.payload)
        return ""

    def open(self, message: bytes) -> "tuple[cose.Sign1 | None, str]":
        """An unverified gateway message, opened, or why not."""
        try:
            return cose.open1(message, self._network_id, "gateway"), ""
        except cose.CoseError as error:
            return None, error.code

    async def verify(self, opened: "cose.Sign1", serial: int, time_ms: int) -> str:
        """Why the gateway key in force at time_ms did not sign this, or ""."""
        if serial != self.serial or opened.kid != cose.kid_of(self._public_key):
            return "serial"
        if not self._not_before_ms <= time_ms < self._not_after_ms:
            return "validity"
        return "" if await self.valid(self._public_key, opened) else "signature"

    def _take(self, payload: bytes) -> None:
        statement = downlinks.parse_statement(payload)
        _, self._public_key, self.serial, self._not_before_ms, self._not_after_ms = statement

    async def valid(self, public_key: bytes, opened: "cose.Sign1") -> bool:
        """Whether public_key's owner signed it; in slices, which let other tasks run."""
        # One at a time: what a verification holds is a tenth of a small heap.
        while self._verifying:
            await self._board.sleep(0)
        self._verifying = True
        verification = Verification(public_key, opened.to_be_signed, opened.signature)
        verdict = verification.step()
        while verdict is None:
            await self._board.sleep(0)
            verdict = verification.step()
        self._verifying = False
        return verdict
