"""What the station says of itself before anything else: hello and claim, when they changed.

Needed at the start of a boot and at the first receipt: node.py borrows it. The file "announced"
holds CBOR [mark of the hello, of the claim, 1 if a receipt was ever verified]; without it both are
said again, which does no harm.
"""

from hashlib import sha256

from . import cbor, sealed, wire

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .boards.base import Board, Files
    from .config import Config

    Now = tuple[int, int, int]
    Marks = tuple[bytes, bytes]

FILE = "announced"

_RETRY_MS = 60_000


async def say(
    board: "Board",
    config: "Config",
    write: "Callable[[int, list[object], Now], bool]",
    now: "Callable[[], Now]",
    marks: "Marks",
) -> "Marks":
    """Write what is not what marks stand for; the marks of what is said now."""
    hello = wire.hello_body(
        public_key=board.public_key(),
        firmware=board.firmware(),
        quantities=config.quantities,
        duty=config.duty,
        place_commitment=config.place_commitment,
        scoring_cell=config.scoring_cell,
        antenna=config.antenna,
    )
    claim = None
    if config.owner is not None:
        claim = wire.claim_body(config.owner, config.owner_proof)
    said = (_mark_of(hello), b"" if claim is None else _mark_of(claim))
    for kind, body, new in (
        (wire.HELLO, hello, said[0] != marks[0]),
        (wire.CLAIM, claim, said[1] != marks[1]),
    ):
        # The outbox may be full of what is never dropped: what was not signed was not said.
        while body is not None and new and not write(kind, body, now()):
            await board.sleep(_RETRY_MS)
    return said


def load(files: "Files") -> "tuple[Marks, bool]":
    """(marks of what was said, whether a receipt was ever verified)."""
    stored = sealed.read(files, FILE)
    if not stored:
        return (b"", b""), False
    hello_mark, claim_mark, registered = cbor.decode(stored)
    return (hello_mark, claim_mark), registered == 1


def store(files: "Files", marks: "Marks", registered: bool) -> None:  # noqa: FBT001
    """Keep what load() gives."""
    sealed.write(files, FILE, cbor.encode([marks[0], marks[1], int(registered)]))


def _mark_of(body: "list[object]") -> bytes:
    return sha256(cbor.encode(body)).digest()[:8]
