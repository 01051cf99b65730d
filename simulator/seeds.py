"""Every random stream of a run, derived from the run's seed by hashing.

There is no global generator: a stream is named by what it is for, so adding one consumer never
shifts the draws of another, and a station behaves alike in fleets of any size.
"""

import hashlib
import random


def derive(seed: int, *names: str | int) -> bytes:
    """32 bytes that depend on the seed and on every name in its order."""
    text = "\x1f".join(str(name) for name in ("cairn simulator", seed, *names))
    return hashlib.sha256(text.encode()).digest()


def stream(seed: int, *names: str | int) -> random.Random:
    """A generator of its own for one purpose, e.g. `stream(7, "board", 12)`."""
    return random.Random(int.from_bytes(derive(seed, *names), "big"))


def happens(generator: random.Random, ppm: int) -> bool:
    """Draw an event of probability ppm / 1,000,000; integers, so no platform can differ."""
    return ppm > 0 and generator.randrange(1_000_000) < ppm
