"""How radio waves reach other stations: path loss, shadowing, fading, and what a receiver notes.

It owns propagation as truth and knows nothing of boards, time or proofs. Vectorised over stations;
numpy only. The model is log-distance with log-normal shadowing: loss = reference at 1 m +
10 exponent log10(distance) + shadow of the link + fading of the frame. Shadowing is one draw per
link, alike in both directions and correlated over places as exp(-distance / correlation)
(Gudmundson 1991), so neighbours are heard alike and averaging over frames removes the fading only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.seeds import derive

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

DISTANCE_M_MIN = 1.0
# Random Fourier features of the shadow; the marginal is within a percent of normal.
SHADOW_MODES = 512
# Free space at 1 m, 20 log10(4 pi f / c): 868.3 MHz, 915 MHz and 2.44 GHz.
FREE_SPACE_868_DB = 31.22
FREE_SPACE_915_DB = 31.67
FREE_SPACE_2440_DB = 40.20

THERMAL_DBM_PER_HZ = -174.0
BANDWIDTH_HZ = 125_000
NOISE_FIGURE_DB = 6.0
NOISE_DBM = -117.0  # THERMAL + 10 log10(BANDWIDTH) + NOISE_FIGURE
# A LoRa demodulator reports no more than this, however strong the signal (9 to 14 by gateway in
# the CampusIoT links).
SNR_MAX_DB = 13.0
# Spread of a chip's own measurements around what reached it.
RSSI_ERROR_DB = 1.0
SNR_ERROR_DB = 1.0
# Least SNR at which a frame is decoded, by spreading factor (Semtech SX1276 data sheet, table 13).
SNR_FLOOR_DB: Mapping[int, float] = MappingProxyType(
    {7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}
)


@dataclass(frozen=True, slots=True)
class Propagation:
    """One kind of surroundings. Decibels are standard deviations but for the reference."""

    exponent: float
    reference_db: float
    shadow_db: float
    shadow_correlation_m: float
    fading_db: float


@dataclass(frozen=True, slots=True)
class Receiver:
    """What a receiving chip is capable of; snr False: it reports none (Wi-Fi, BLE)."""

    sensitivity_dbm: float
    noise_dbm: float = NOISE_DBM
    snr: bool = True


class Reception(NamedTuple):
    """What receivers note of beacons; snr_db NaN where a chip has none. Shapes as loss_db's.

    rssi_dbm is that of the *signal*, as the protocol wants it: it may lie below the noise floor.
    Values where heard is false are what a chip would have noted had it decoded the frame.
    """

    rssi_dbm: Array
    snr_db: Array
    heard: Flags


def sensitivity_dbm(spreading_factor: int) -> float:
    """Weakest signal of 125 kHz that is decoded: -129.5 dBm at SF9."""
    return NOISE_DBM + SNR_FLOOR_DB[spreading_factor]


def lora_airtime_ms(size: int, spreading_factor: int = 9) -> int:
    """Time on air of `size` bytes at 125 kHz, coding rate 4/5, preamble 8, header and CRC
    (Semtech AN1200.13), rounded up; low data rate optimisation from SF11 on.
    """
    symbol_ms = (1 << spreading_factor) * 1_000 / BANDWIDTH_HZ
    bits = 8 * size - 4 * spreading_factor + 28 + 16
    per_block = 4 * (spreading_factor - (2 if spreading_factor >= 11 else 0))
    symbols = 8 + max(math.ceil(bits / per_block), 0) * 5
    return math.ceil((8 + 4.25 + symbols) * symbol_ms)


LORA_SF9 = Receiver(sensitivity_dbm(9))
ESPNOW = Receiver(-98.0, noise_dbm=-95.0, snr=False)
BLE = Receiver(-95.0, noise_dbm=-95.0, snr=False)


def _through(pivot_m: float, loss_db: float, exponent: float) -> float:
    """The reference at 1 m of a line through (pivot_m, loss_db)."""
    return loss_db - 10 * exponent * math.log10(pivot_m)


# What a line of exponent 3.15 from free space at 1 m (all campus gateways together) gives at the
# middle of the campus; the gateways' own lines differ in slope around it.
_CAMPUS_M = 300.0
_CAMPUS_DB = FREE_SPACE_868_DB + 31.5 * math.log10(_CAMPUS_M)
# Medians over links of the CampusIoT sets, at an assumed 14 dBm and 1.2 (street) or 3 dBi (tower):
# 137 dB at 2.2 km, 136.5 dB at 3.1 km. Only decoded frames are in them, so slopes fitted to them
# (0.78 and 1.51) are too low; the street has the usual 2.7, the tower the slope of ESP (2.15).
_STREET_DB = _through(2_200, 137.0, 2.7)
_TOWER_DB = _through(3_100, 136.5, 2.15)

# Exponents and shadow: least-squares fits to real links, kk-079 (campus, 470 MHz, 9,516 packets)
# and CampusIoT (mountain: 11 links in sight; tower: 46; street: 633). Fading: 3.0 dB, median over
# 53 fixed links of at least 200 frames (p10 1.5, p90 5.2). Correlation lengths are not measured:
# 100 m among houses, 500 m (Gudmundson, suburb) in the open.
PRESETS: Mapping[str, Propagation] = MappingProxyType(
    {
        "town": Propagation(3.1, FREE_SPACE_868_DB, 8.0, 100.0, 3.0),
        "campus": Propagation(3.15, FREE_SPACE_868_DB, 11.1, 100.0, 3.0),
        "campus-roof": Propagation(3.52, _through(_CAMPUS_M, _CAMPUS_DB, 3.52), 8.7, 100.0, 3.0),
        "campus-floor": Propagation(3.20, _through(_CAMPUS_M, _CAMPUS_DB, 3.20), 8.4, 100.0, 3.0),
        "campus-ground": Propagation(5.04, _through(_CAMPUS_M, _CAMPUS_DB, 5.04), 6.0, 100.0, 3.0),
        "campus-g1": Propagation(1.77, _through(_CAMPUS_M, _CAMPUS_DB, 1.77), 7.0, 100.0, 3.0),
        "campus-g5": Propagation(2.16, _through(_CAMPUS_M, _CAMPUS_DB, 2.16), 9.9, 100.0, 3.0),
        "mountain": Propagation(1.93, FREE_SPACE_868_DB, 4.2, 500.0, 3.0),
        "tower": Propagation(2.15, _TOWER_DB, 9.4, 500.0, 3.0),
        "street": Propagation(2.7, _STREET_DB, 9.1, 100.0, 5.2),
        "free-space": Propagation(2.0, FREE_SPACE_868_DB, 0.0, 100.0, 0.0),
        # 2.4 GHz near the ground: reports from the field give ESP-NOW 115 m between trees and 63 m
        # in thick forest, which this slope meets; BLE slope and spread: 831 values in a room.
        "espnow": Propagation(3.5, FREE_SPACE_2440_DB, 5.0, 20.0, 3.0),
        "ble": Propagation(3.18, FREE_SPACE_2440_DB, 4.3, 20.0, 7.8),
    }
)


def generator_of(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator of its own for one purpose, as seeds.stream is for plain numbers."""
    number = int.from_bytes(derive(seed, *names), "big")
    return np.random.Generator(np.random.PCG64(number))


def distances_m(places_m: Array) -> Array:
    """(N, N) distances on the plane of (N, 2) places, never below 1 m."""
    east = places_m[:, 0]
    north = places_m[:, 1]
    apart = np.hypot(east[:, None] - east[None, :], north[:, None] - north[None, :])
    return np.asarray(np.maximum(apart, DISTANCE_M_MIN))


def path_loss_db(propagation: Propagation, places_m: Array, seed: int) -> Array:
    """(N, N) loss of every link between (N, 2) places in metres, fading apart; symmetric.

    A link's shadow depends on the seed and its two places alone, not on who else is there. The
    diagonal is the loss over 1 m.
    """
    places = np.asarray(places_m, dtype=np.float64).reshape(-1, 2)
    distance = distances_m(places)
    loss = propagation.reference_db + 10 * propagation.exponent * np.log10(distance)
    if propagation.shadow_db > 0:
        shadow = _shadow(places, distance, propagation.shadow_correlation_m, seed)
        np.fill_diagonal(shadow, 0.0)
        loss = loss + propagation.shadow_db * shadow
    return np.asarray(loss)


def _shadow(places: Array, distance: Array, correlation_m: float, seed: int) -> Array:
    """(N, N) normal values of sd 1. Correlation of links (a, b) and (a', b'):
    exp(-(|a - a'| + |b - b'|) / correlation_m), either end being the first.
    """
    generator = generator_of(seed, "shadow")
    wave_a, wave_b = (_exponential_waves(generator, correlation_m) for _ in range(2))
    angle_a = places @ wave_a
    angle_b = places @ wave_b + generator.uniform(0, 2 * math.pi, SHADOW_MODES)
    # cos(a + b) = cos a cos b - sin a sin b: two matrix products instead of N * N * modes cosines.
    one_way = np.cos(angle_a) @ np.cos(angle_b).T - np.sin(angle_a) @ np.sin(angle_b).T
    both = (one_way + one_way.T) / math.sqrt(SHADOW_MODES)
    # Near to each other the two directions are one and the same draw, of twice the variance.
    return np.asarray(both / np.sqrt(1 + np.exp(-2 * distance / correlation_m)))


def _exponential_waves(generator: np.random.Generator, correlation_m: float) -> Array:
    """(2, modes) wave numbers per metre: Student-t with one degree of freedom, whose covariance
    is exponential.
    """
    width = np.sqrt(generator.chisquare(1, SHADOW_MODES)) * correlation_m
    return np.asarray(generator.standard_normal((2, SHADOW_MODES)) / width)


def receive(
    propagation: Propagation,
    loss_db: Array,
    power_dbm: Array | float,
    generator: np.random.Generator,
    *,
    gain_db: Array | float = 0.0,
    receiver: Receiver = LORA_SF9,
) -> Reception:
    """What comes of frames over links of loss_db: any shape, such as (beacons, receivers).

    power_dbm is EIRP and broadcasts, as gain_db does, which is each receiver's antenna and error
    of measurement together. Each element fades by a draw of its own. Whether a frame is decoded
    depends on what reaches the chip; what is noted has the chip's own errors besides.
    """
    loss = np.asarray(loss_db, dtype=np.float64)
    fading = generator.standard_normal(loss.shape) * propagation.fading_db
    signal = np.asarray(power_dbm) - loss + np.asarray(gain_db) + fading
    errors = generator.standard_normal((2, *loss.shape))
    rssi = signal + RSSI_ERROR_DB * errors[0]
    if receiver.snr:
        snr = np.minimum(signal - receiver.noise_dbm + SNR_ERROR_DB * errors[1], SNR_MAX_DB)
    else:
        snr = np.full(loss.shape, np.nan)
    return Reception(rssi, snr, signal >= receiver.sensitivity_dbm)
