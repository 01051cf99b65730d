"""What a new file system does not take away: key, login counter and configuration of a board that
has a vault of its own (Board.vault) beside its files. identity.py borrows it once a boot.

The files say whose they are: the file "device" holds the id of the key that they served. A file
system that comes from another board holds that board's chain, which no second key may go on with.
"""

from . import cose, sealed

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Files

# Earlier images kept them in the file system. The key comes last: while it is there, a boot that
# lost its power goes on with this.
NAMES = ("login", "config", "config.spare", "identity")
PUBLIC = "public"
# slots.py's: what no image may fall behind. It outlives even a key.
FLOORS = "releases"
_WHOSE = "device"
_KEY = NAMES[-1]


def move(files: "Files", vault: "Files") -> None:
    """Take what an earlier image left among the files into the vault, once."""
    key, kept = files.read(_KEY), vault.read(_KEY)
    if key is not None and kept is not None and key != kept:
        # These files are not from here: neither is what they say.
        clear(files)
    for name in NAMES:
        found = files.read(name)
        if found is None:
            continue
        if vault.read(name) is None:
            vault.write(name, found)
        # Only now: a power cut in between leaves both, and the vault's is taken.
        files.remove(name)


def bind(files: "Files", vault: "Files", public_key: bytes) -> bool:
    """Make the files those of this key, and leave the public key where a host may read it. False:
    they were another key's, and are gone, so that the chain is lost until a receipt comes.
    """
    if vault.read(PUBLIC) != public_key:
        vault.write(PUBLIC, public_key)
    mine, whose = cose.kid_of(public_key), sealed.read(files, _WHOSE)
    foreign = whose not in (mine, b"")
    if foreign:
        clear(files)
    if whose != mine:
        sealed.write(files, _WHOSE, mine)
    return not foreign


def clear(files: "Files") -> None:
    """Remove everything. What says whose the files are goes last: till then this begins again."""
    for name in files.names(""):
        if name not in (_WHOSE, _KEY):
            files.remove(name)
    files.remove(_KEY)
