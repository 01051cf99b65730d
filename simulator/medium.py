"""The air of a run: frames that boards send, and what the radios of other boards make of them.

A frame is in the air from the moment in which a board sends it until its airtime is over; then it
stands in the receive queue of every board that could decode it. Lost are frames that are too weak,
that meet another one on their channel (the stronger survives by 6 dB), that come while the
receiver itself sends, and those on other channels than the one it is tuned to: a board has one
modem. Who is off, or has begun to listen or was tuned later, hears nothing. Every frame fades by
a generator of its own, so what becomes of it does not depend on the order of events.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from simulator.radio import (
    BLE,
    ESPNOW,
    LORA_SF9,
    PRESETS,
    Array,
    Flags,
    Propagation,
    Receiver,
    Reception,
    generator_of,
    lora_airtime_ms,
    path_loss_db,
    receive,
)
from simulator.world import World

LORA_RADIO, ESPNOW_RADIO, BLE_RADIO = 0, 1, 2
CAPTURE_DB = 6.0
# Every matrix of losses holds the square of this many numbers.
STATIONS_MAX = 4_000
# A module's antenna at 2.4 GHz; the firmware takes it off what it asks for.
SHORT_RANGE_GAIN_DB = 2.0
SHORT_RANGE_AIRTIME_MS = 1


@dataclass(frozen=True, slots=True)
class Antenna:
    """Where a station's radios really are, on a plane.

    gain_db: what its antenna and its measurements are off by, both ways. power_db: how much more
    than it is told the station sends.
    """

    east_m: float
    north_m: float
    radios: tuple[int, ...] = ()
    gain_db: float = 0.0
    power_db: float = 0.0


NO_RADIO = Antenna(0.0, 0.0)


class Sound(NamedTuple):
    """A frame as one radio hears it."""

    radio: int
    channel: int
    rssi_cdbm: int
    snr_cdb: int | None
    frame: bytes


class Ear(Protocol):
    """A board: listening_ms is since when it has listened without a break, None if it does not."""

    listening_ms: int | None

    def hear(self, sound: Sound) -> None: ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is common to the radios of one kind. steps: in cdB, of RSSI and SNR as a chip says."""

    propagation: Propagation
    receiver: Receiver
    antenna_db: float
    steps: tuple[int, int]

    def airtime_ms(self, size: int) -> int:
        return lora_airtime_ms(size) if self.receiver.snr else SHORT_RANGE_AIRTIME_MS


class _Flight(NamedTuple):
    station: int
    channel: int
    start_ms: int
    end_ms: int
    reception: Reception
    frame: bytes


@dataclass(slots=True)
class _Band:
    """The state of one kind of radio. tuned*: the channel of each receiver, and since when."""

    kind: _Kind
    present: Flags
    loss_db: Array
    tuned: npt.NDArray[np.int64]
    tuned_ms: npt.NDArray[np.int64]
    flights: list[_Flight] = field(default_factory=list)


@dataclass(slots=True)
class AirCounts:
    """Frames sent; frames that a radio could have decoded, and how many of them were lost."""

    sent: int = 0
    decodable: int = 0
    collided: int = 0
    received: int = 0


class Medium:
    """All radios of a run. From closes_ms on (None: never) nothing that is sent is heard."""

    def __init__(
        self,
        world: World,
        antennas: Sequence[Antenna],
        surroundings: Propagation,
        closes_ms: int | None = None,
    ) -> None:
        if len(antennas) > STATIONS_MAX:
            raise ValueError(f"{len(antennas)} stations, at most {STATIONS_MAX} can have radios")
        self.counts = AirCounts()
        self.crews: dict[str, list[Ear]] = {}
        self._world = world
        self._antennas = tuple(antennas)
        self._closes_ms = closes_ms
        self._gain_db = np.array([antenna.gain_db for antenna in antennas])
        places = np.array([(a.east_m, a.north_m) for a in antennas]).reshape(-1, 2)
        kinds = {
            LORA_RADIO: _Kind(surroundings, LORA_SF9, 0.0, (50, 25)),
            ESPNOW_RADIO: _Kind(PRESETS["espnow"], ESPNOW, SHORT_RANGE_GAIN_DB, (100, 100)),
            BLE_RADIO: _Kind(PRESETS["ble"], BLE, SHORT_RANGE_GAIN_DB, (100, 100)),
        }
        self._bands = {
            radio: self._band(radio, kind, places)
            for radio, kind in kinds.items()
            if any(radio in antenna.radios for antenna in antennas)
        }
        self._ears: dict[int, Ear] = {}
        self._sending_ms: dict[tuple[int, int], int] = {}
        self._taps: list[Callable[[int, Sound], None]] = []
        self._spies: dict[int, list[Callable[[Sound], None]]] = {}

    def _band(self, radio: int, kind: _Kind, places: Array) -> _Band:
        count = len(self._antennas)
        return _Band(
            kind,
            np.array([radio in antenna.radios for antenna in self._antennas]),
            path_loss_db(kind.propagation, places, self._world.seed + radio),
            np.zeros(count, dtype=np.int64),
            np.zeros(count, dtype=np.int64),
        )

    def attach(self, station: int, ear: Ear) -> None:
        self._ears[station] = ear

    def tune(self, station: int, radio: int, channel: int) -> None:
        """Let a station's receiver hear this channel and no other; before, that is channel 0."""
        if radio in self._antennas[station].radios:
            band = self._bands[radio]
            if band.tuned[station] != channel:
                band.tuned[station] = channel
                band.tuned_ms[station] = self._world.now_ms

    def tap(self, listener: Callable[[int, Sound], None]) -> None:
        """Be told of every frame by its sender's number when it ends; its levels mean nothing."""
        self._taps.append(listener)

    def spy(self, station: int, listener: Callable[[Sound], None]) -> None:
        """Be told of what one station hears."""
        self._spies.setdefault(station, []).append(listener)

    def send(
        self, station: int, radio: int, channel: int, power_cdbm: int, frame: bytes
    ) -> bool | None:
        """As Board.radio_send: power_cdbm at the connector; None if there is no such radio."""
        antenna = self._antennas[station]
        if radio not in antenna.radios:
            return None
        band, now_ms = self._bands[radio], self._world.now_ms
        if self._sending_ms.get((station, radio), 0) > now_ms:
            return False
        end_ms = now_ms + band.kind.airtime_ms(len(frame))
        self._sending_ms[station, radio] = end_ms
        self.counts.sent += 1
        eirp_dbm = power_cdbm / 100 + band.kind.antenna_db + antenna.gain_db + antenna.power_db
        reception = receive(
            band.kind.propagation,
            band.loss_db[station],
            eirp_dbm,
            generator_of(self._world.seed, "air", radio, station, now_ms),
            gain_db=self._gain_db + band.kind.antenna_db,
            receiver=band.kind.receiver,
        )
        flight = _Flight(station, channel, now_ms, end_ms, reception, frame)
        # A frame that began a second ago ended long before this one begins.
        band.flights = [one for one in band.flights if one.end_ms > now_ms - 1_000]
        band.flights.append(flight)
        self._world.call_at(end_ms, partial(self._land, radio, flight))
        return True

    def _land(self, radio: int, flight: _Flight) -> None:
        if self._closes_ms is not None and flight.start_ms >= self._closes_ms:
            return
        for listener in self._taps:
            listener(flight.station, Sound(radio, flight.channel, 0, None, flight.frame))
        band = self._bands[radio]
        for station in np.flatnonzero(self._receivers(band, flight)):
            index = int(station)
            ear = self._ears.get(index)
            if ear is None or ear.listening_ms is None or ear.listening_ms > flight.start_ms:
                continue
            self.counts.received += 1
            sound = _sound(band.kind, radio, flight, index)
            ear.hear(sound)
            for spy in self._spies.get(index, ()):
                spy(sound)

    def _receivers(self, band: _Band, flight: _Flight) -> Flags:
        """Stations whose radio decodes the flight."""
        able = flight.reception.heard & band.present
        able[flight.station] = False
        at_once = [
            other
            for other in band.flights
            if other is not flight
            and other.start_ms < flight.end_ms
            and other.end_ms > flight.start_ms
        ]
        for other in at_once:
            able[other.station] = False
        able &= (band.tuned == flight.channel) & (band.tuned_ms <= flight.start_ms)
        heard = able.copy()
        for other in at_once:
            if other.channel == flight.channel:
                stronger = flight.reception.rssi_dbm >= other.reception.rssi_dbm + CAPTURE_DB
                heard &= stronger
        self.counts.decodable += int(able.sum())
        self.counts.collided += int(able.sum()) - int(heard.sum())
        return heard


def _sound(kind: _Kind, radio: int, flight: _Flight, station: int) -> Sound:
    rssi_step, snr_step = kind.steps
    snr_db = float(flight.reception.snr_db[station])
    return Sound(
        radio,
        flight.channel,
        _stepped(float(flight.reception.rssi_dbm[station]), rssi_step),
        None if math.isnan(snr_db) else _stepped(snr_db, snr_step),
        flight.frame,
    )


def _stepped(decibels: float, step: int) -> int:
    """In hundredths, as coarse as the chip says it."""
    return math.floor(decibels * 100 / step + 0.5) * step
