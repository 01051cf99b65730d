"""Hardware that lies: boards whose radio says what its owner wants, under unchanged firmware.

Each class is one trick with frames. What comes of it passes through the firmware's own witness and
beacon messages, signed by a key that nobody can tell from an honest one.
"""

from __future__ import annotations

import math
import random
from functools import partial
from typing import Any

from simulator.board import SimulatedBoard
from simulator.medium import LORA_RADIO, Antenna, Sound
from simulator.radio import NOISE_DBM, SNR_MAX_DB, Propagation, lora_airtime_ms
from simulator.seeds import stream
from simulator.weather import HOUR_MS

# What a frame takes over the internet from one liar to the next.
INTERNET_MS_MIN, INTERNET_MS_MAX = 20, 120
REPLAY_MS = HOUR_MS
WEAKEST_CDBM, STRONGEST_CDBM = -12_800, -6_000


class LyingBoard(SimulatedBoard):
    """A board with a stream of its own for what it makes up."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lies: random.Random = stream(self._world.seed, "lies", self.index)

    def pretend(self, sound: Sound, after_ms: int = 0) -> None:
        """Let the firmware hear a sound after a while, if the board is on then."""
        self._world.call_at(self._world.now_ms + after_ms, partial(self._pretend, sound))

    def _pretend(self, sound: Sound) -> None:
        if self.group.alive and self.listening_ms is not None:
            super().hear(sound)

    def internet_ms(self) -> int:
        return self.lies.randrange(INTERNET_MS_MIN, INTERNET_MS_MAX)


class RingBoard(LyingBoard):
    """One key of a ring: ten boards on a bench, joined by a cable, in no radio's reach.

    What one sends, the others hear as they would at the places that they claim: the ring knows
    the propagation as well as its judges do, and gives each pair a shadow of its own.
    """

    def __init__(
        self,
        *arguments: Any,
        ring: str,
        claimed: Antenna,
        propagation: Propagation,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.claimed = claimed
        self._propagation = propagation
        assert self._air is not None
        self._crew = self._air.crews.setdefault(ring, [])
        self._crew.append(self)

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> bool | None:
        if radio != LORA_RADIO:
            return None
        for other in self._crew:
            if isinstance(other, RingBoard) and other is not self:
                level_dbm = power_cdbm / 100 - self._loss_db(other)
                sound = forged(radio, channel, level_dbm, frame, self.lies)
                other.pretend(sound, lora_airtime_ms(len(frame)))
        return True

    def _loss_db(self, other: RingBoard) -> float:
        ends = sorted((self.index, other.index))
        shadow = stream(self._world.seed, "ring", *ends).gauss(0, self._propagation.shadow_db)
        east = self.claimed.east_m - other.claimed.east_m
        north = self.claimed.north_m - other.claimed.north_m
        decades = math.log10(max(math.hypot(east, north), 1.0))
        fading = self.lies.gauss(0, self._propagation.fading_db)
        loss = self._propagation.reference_db + 10 * self._propagation.exponent * decades
        return loss + shadow + fading


class WormholeBoard(LyingBoard):
    """One end of a wormhole. What either end hears, the other claims to hear; what the far end
    sends, the near end puts on the air.
    """

    def __init__(self, *arguments: Any, tunnel: str, near: bool, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._near = near
        assert self._air is not None
        self._ends = self._air.crews.setdefault(tunnel, [])
        self._ends.append(self)

    def _other(self) -> WormholeBoard:
        [other] = [end for end in self._ends if end is not self]
        assert isinstance(other, WormholeBoard)
        return other

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> bool | None:
        if not self._near and radio in self._radios:
            again = partial(self._other().replay, radio, channel, power_cdbm, frame)
            self._world.call_at(self._world.now_ms + self.internet_ms(), again)
        return super().radio_send(radio, channel, power_cdbm, frame)

    def replay(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> None:
        """Send another board's frame as if it came from here."""
        if self.group.alive:
            super().radio_send(radio, channel, power_cdbm, frame)

    def hear(self, sound: Sound) -> None:
        super().hear(sound)
        self._other().pretend(sound, self.internet_ms())


class ForgingBoard(LyingBoard):
    """Hears nothing by itself: an accomplice tells it of every frame in the town. Whose a frame
    is comes out only when the day is revealed, so its levels are guesses.
    """

    LEVEL_DBM, LEVEL_SD_DB = -105.0, 8.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        assert self._air is not None
        self._air.tap(self._told)

    def _told(self, station: int, sound: Sound) -> None:
        if station != self.index and sound.radio == LORA_RADIO:
            level_dbm = self.lies.gauss(self.LEVEL_DBM, self.LEVEL_SD_DB)
            made_up = forged(sound.radio, sound.channel, level_dbm, sound.frame, self.lies)
            self.pretend(made_up, self.internet_ms())


class ReplayingBoard(LyingBoard):
    """Repeats what it heard an hour ago, and copies what another station hears, as its own."""

    def __init__(self, *arguments: Any, copied: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        assert self._air is not None
        self._air.spy(copied, lambda sound: self.pretend(sound, self.internet_ms()))

    def hear(self, sound: Sound) -> None:
        super().hear(sound)
        self.pretend(sound, REPLAY_MS)


class GriefingBoard(LyingBoard):
    """Reports any level but the true one of everything that it hears, to spoil its senders."""

    def hear(self, sound: Sound) -> None:
        level_dbm = self.lies.randrange(WEAKEST_CDBM, STRONGEST_CDBM) / 100
        super().hear(forged(sound.radio, sound.channel, level_dbm, sound.frame, self.lies))


def forged(
    radio: int, channel: int, level_dbm: float, frame: bytes, generator: random.Random
) -> Sound:
    """A sound of a chosen level, with an SNR that fits to it as a chip's would."""
    snr_db = min(level_dbm - NOISE_DBM + generator.gauss(0, 1), SNR_MAX_DB)
    snr_cdb = math.floor(snr_db * 4 + 0.5) * 25 if radio == LORA_RADIO else None
    return Sound(radio, channel, math.floor(level_dbm * 2 + 0.5) * 50, snr_cdb, frame)
