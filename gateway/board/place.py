"""Where a station stands: what of it is public, and what stays in a file of its owner.

The board signs a scoring cell, which everybody may see, and SHA-256(salt || exact place), which
tells nobody anything until the owner shows place and salt. The exact place is the ASCII text
"LAT,LON" in decimal degrees with six decimals each, a minus only below zero:
"52.520000,13.405000".
"""

import hashlib
import json
import os
import re
import secrets
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from gateway.shell.errors import Code, OperatorFault

FORMAT = "cairn-place-1"
FINE, COARSE = 9, 7
SALT_BYTES = 32
E6 = 1_000_000
_FILE_BYTES_MAX = 4_096
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{1,12})?")
# Of a cell of that resolution, on average (h3geo.org/docs/core-library/restable).
_AREAS = {FINE: "0.1 km², some 350 m across", COARSE: "5 km², some 2.5 km across"}


@dataclass(frozen=True, slots=True)
class Place:
    """An exact place in 10^-6 degree with its salt. It never leaves the owner's machine."""

    lat_e6: int
    lon_e6: int
    salt: bytes
    resolution: int

    @property
    def text(self) -> str:
        """What is committed to, besides the salt."""
        return f"{_written(self.lat_e6)},{_written(self.lon_e6)}"

    @property
    def commitment(self) -> bytes:
        return hashlib.sha256(self.salt + self.text.encode()).digest()

    @property
    def cell(self) -> int:
        """The scoring cell: H3 at the rounded place."""
        import h3

        return int(h3.latlng_to_cell(self.lat_e6 / E6, self.lon_e6 / E6, self.resolution), 16)

    def public(self) -> str:
        """What everybody will see, in a sentence to agree to."""
        text = (
            f"The scoring cell {self.cell:x} ({_AREAS[self.resolution]}) is PUBLIC: it stands in "
            "the station's messages, in every bundle and on its page. The exact place is not."
        )
        if self.resolution == COARSE:
            return text + " With so coarse a cell the station stays unproven: no coverage pay."
        return text

    def same_as(self, other: "Place") -> bool:
        """Whether it is one place on the ground and on the map; salts apart."""
        return (self.lat_e6, self.lon_e6, self.resolution) == (
            other.lat_e6,
            other.lon_e6,
            other.resolution,
        )


def parse_place(text: str, *, coarse: bool = False) -> Place:
    """The place of LAT,LON, with a new salt. OperatorFault: place_invalid."""
    words = [word.strip() for word in text.split(",")]
    if len(words) != 2 or not all(_DEGREES.fullmatch(word) for word in words):
        raise _invalid(text, "It is not LAT,LON in decimal degrees.")
    try:
        lat_e6, lon_e6 = (round(Decimal(word) * E6) for word in words)
    except InvalidOperation as error:
        raise _invalid(text, "It is not LAT,LON in decimal degrees.") from error
    if abs(lat_e6) > 90 * E6 or abs(lon_e6) > 180 * E6:
        raise _invalid(
            text, "Latitudes end at 90 degrees, longitudes at 180; latitude comes first."
        )
    resolution = COARSE if coarse else FINE
    return Place(lat_e6, lon_e6, secrets.token_bytes(SALT_BYTES), resolution)


def place_file(folder: Path, device: str) -> Path:
    """Where the owner's file of a station lies."""
    return folder / f"cairn-place-{device}.json"


def kept(path: Path) -> Place | None:
    """The place in an owner's file; None if there is no file. place_invalid: it is damaged."""
    try:
        data = path.read_bytes()[:_FILE_BYTES_MAX]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, f"{error.strerror}.") from error
    try:
        found = json.loads(data)
        resolution = int(found["scoring_cell"], 16) >> 52 & 15
        place = parse_place(f"{found['lat']},{found['lon']}", coarse=resolution == COARSE)
        salt = bytes.fromhex(found["salt"])
        mended = Place(place.lat_e6, place.lon_e6, salt, place.resolution)
        whole = found["format"] == FORMAT and mended.commitment.hex() == found["place_commitment"]
    except (KeyError, TypeError, ValueError, OperatorFault) as error:
        raise _unreadable(path, "It is no place file, or it is damaged.") from error
    if not whole:
        raise _unreadable(path, "Its commitment is not that of its place and salt.")
    return mended


def keep(path: Path, device: str, place: Place) -> None:
    """Write the owner's file, whole or not at all, readable by its owner only."""
    text = json.dumps(
        {
            "format": FORMAT,
            "device": device,
            "lat": _written(place.lat_e6),
            "lon": _written(place.lon_e6),
            "salt": place.salt.hex(),
            "scoring_cell": f"{place.cell:x}",
            "place_commitment": place.commitment.hex(),
        },
        indent=1,
    )
    half = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.unlink(missing_ok=True)
        handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        raise OperatorFault(
            f"The owner's file {path} cannot be written.",
            f"{error.strerror}. Without its salt nobody can ever show where the station stands.",
            "Name another folder with --places; nothing was written to the board.",
            Code.FILE_UNWRITABLE,
        ) from error


def _written(e6: int) -> str:
    whole, rest = divmod(abs(e6), E6)
    return f"{'-' if e6 < 0 else ''}{whole}.{rest:06d}"


def _invalid(text: str, why: str) -> OperatorFault:
    return OperatorFault(
        f"{text!r} is no place.",
        why,
        "Give it as a map shows it, for instance --place 52.52000,13.40500",
        Code.PLACE_INVALID,
    )


def _unreadable(path: Path, why: str) -> OperatorFault:
    return OperatorFault(
        f"The owner's file {path} cannot be used.",
        why,
        "Restore it from your copy, or move it away: then a new salt is made.",
        Code.PLACE_INVALID,
    )
