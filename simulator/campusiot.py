"""Real LoRa links (the CampusIoT data sets) as a test of rules that judge a place.

Genuine transmitters at known places, and their claims displaced on paper: what a rule says of the
first are its false alarms, of the second its power. The data is ODbL-1.0, not shipped, and read
from a folder; the rule that is judged comes in as a function, so nothing here knows it.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from simulator.baselines import helium_2026

Place = tuple[int, int]  # latitude, longitude in millionths of a degree

LINKS = "campusiot_links.csv.gz"
FRAMES = "SaintEynard_d1d1e80000000033.ndjson.gz"
FAR_LINK = "d1d1e80000000033_refugegouter.csv.gz"

DISPLACEMENTS_KM = (1, 2, 5, 10, 20, 50)
# Conducted 14 dBm and a small antenna, the usual of these devices; the data does not say.
EIRP_DBM = 14.0
HELIUM_GAINS_DDBI = (12, 12)
FREQUENCY_HZ = 868_100_000
# Fort du Saint-Eynard, found from the distances of its own records, and the refuge on Mont Blanc.
SAINT_EYNARD: Place = (45_236_100, 5_756_800)
REFUGE_DU_GOUTER: Place = (45_851_000, 6_830_700)
FAR_LINK_M = 109_000  # as its publisher measured it
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
_DEGREE_M = 111_195.0


class Hearing(NamedTuple):
    """What one gateway heard of one transmitter on one day. rssi_dbm: mean of the *signal*;
    silent: frames of hours in which it heard others, 0 where the data cannot tell.
    """

    gateway: str
    place: Place
    rssi_dbm: float
    heard: int
    silent: int


class StationDay(NamedTuple):
    transmitter: str
    day: int
    place: Place
    hearings: tuple[Hearing, ...]


class Accusations(NamedTuple):
    """Shares of claims that are refused: by our joint test (station-days), by Helium's rules per
    reception, and per station-day if one of its receptions suffices. cases: days x bearings.
    """

    displaced_km: int
    cases: int
    ours: float
    helium_reception: float
    helium_any: float


# Given a claim and what was heard: is it refused?
Judge = Callable[[Place, StationDay], bool]
# Given the station-days of other transmitters: the judge that they calibrate.
Calibrate = Callable[[Sequence[StationDay]], Judge]


def signal_dbm(channel_dbm: float, snr_db: float) -> float:
    """RSSI of the signal from that of the channel, which holds the noise too (ESP)."""
    return channel_dbm + snr_db - 10 * math.log10(1 + 10 ** (snr_db / 10))


def load(folder: Path, per_transmitter: int = 40) -> list[StationDay]:
    """Return station-days that at least three gateways heard, evenly thinned to so many of each
    transmitter, in the order of transmitter and day. OSError where the folder lacks the files.
    """
    days = [*_hotspot_days(folder / LINKS), *_mountain_days(folder / FRAMES)]
    by_transmitter: dict[str, list[StationDay]] = defaultdict(list)
    for one in sorted(days):
        if len(one.hearings) >= 3:
            by_transmitter[one.transmitter].append(one)
    kept = []
    for _, all_days in sorted(by_transmitter.items()):
        step = max(1, -(-len(all_days) // per_transmitter))
        kept += all_days[::step]
    return kept


def _hotspot_days(path: Path) -> Iterator[StationDay]:
    """Helium's hotspots, whose RSSI is that of the signal. A frame has one or two buyers, so who
    is not in the data may have heard it: nobody is silent here.
    """
    heard: dict[tuple[str, int, Place], dict[str, list[tuple[Place, float]]]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["src"] == "SaintEynard" or not all(
                row[key] for key in ("dev_lat", "gw_lat", "file_ts", "dist_m")
            ):
                continue
            key = row["dev"], int(row["file_ts"]) // DAY_MS, _place(row["dev_lat"], row["dev_lon"])
            gateway = _place(row["gw_lat"], row["gw_lon"]), float(row["rssi"])
            heard.setdefault(key, {}).setdefault(row["gw"], []).append(gateway)
    for (transmitter, day, place), gateways in heard.items():
        yield StationDay(
            transmitter,
            day,
            place,
            tuple(
                Hearing(gateway, rows[0][0], _mean(rssi for _, rssi in rows), len(rows), 0)
                for gateway, rows in sorted(gateways.items())
            ),
        )


def _mountain_days(path: Path) -> Iterator[StationDay]:
    """One transmitter above Grenoble and CampusIoT's own gateways below, whose network server
    recorded all who heard each frame: the others were silent, if they heard one in that hour.
    """
    days: dict[int, list[tuple[int, dict[str, float]]]] = defaultdict(list)
    places: dict[str, Place] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            frame = json.loads(line)
            received = {}
            for one in frame.get("rxInfo", ()):
                at = one["location"]
                places[one["gatewayID"]] = _place(at["latitude"], at["longitude"])
                received[one["gatewayID"]] = signal_dbm(one["rssi"], one["loRaSNR"])
            if received:
                days[frame["_timestamp"] // DAY_MS].append((frame["_timestamp"], received))
    for day, frames in days.items():
        hours: dict[str, set[int]] = defaultdict(set)
        for time_ms, received in frames:
            for gateway in received:
                hours[gateway].add(time_ms // HOUR_MS)
        yield StationDay(
            "SaintEynard 33",
            day,
            SAINT_EYNARD,
            tuple(_mountain_hearing(g, places[g], hours[g], frames) for g in sorted(hours)),
        )


def _mountain_hearing(
    gateway: str, place: Place, hours: set[int], frames: list[tuple[int, dict[str, float]]]
) -> Hearing:
    rssi = [received[gateway] for _, received in frames if gateway in received]
    listening = sum(1 for time_ms, _ in frames if time_ms // HOUR_MS in hours)
    return Hearing(gateway, place, _mean(rssi), len(rssi), listening - len(rssi))


def far_link(folder: Path) -> tuple[Hearing, ...]:
    """The genuine 109 km link as its two gateways heard it in all."""
    heard: dict[str, list[float]] = defaultdict(list)
    with gzip.open(folder / FAR_LINK, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter=";"):
            snr = float(row["SNR"].replace(",", "."))
            heard[row["Gateway"]].append(signal_dbm(float(row["RSSI"]), snr))
    return tuple(
        Hearing(gateway, REFUGE_DU_GOUTER, _mean(rssi), len(rssi), 0)
        for gateway, rssi in sorted(heard.items())
    )


def evaluate(
    days: Sequence[StationDay], calibrate: Calibrate, bearings: int = 4
) -> list[Accusations]:
    """Return the table: honest claims first (displaced 0 km), then the displacements.

    Each transmitter is judged by a judge that only the other transmitters calibrated.
    """
    judges = {
        name: calibrate([day for day in days if day.transmitter != name])
        for name in sorted({day.transmitter for day in days})
    }
    table = []
    for displaced_km in (0, *DISPLACEMENTS_KM):
        cases = [
            (day, displace(day.place, displaced_km * 1000, (turn + 0.5) / bearings))
            for day in days
            for turn in range(bearings if displaced_km else 1)
        ]
        ours = [judges[day.transmitter](claim, day) for day, claim in cases]
        helium = [[helium_refuses(claim, one) for one in day.hearings] for day, claim in cases]
        receptions = [refused for each in helium for refused in each]
        table.append(
            Accusations(
                displaced_km,
                len(cases),
                _mean(ours),
                _mean(receptions),
                _mean(any(each) for each in helium),
            )
        )
    return table


def helium_refuses(claim: Place, one: Hearing) -> bool:
    """Helium's rules 11 and 12: farther than 100 km, or louder than free space allows."""
    metres = apart_m(claim, one.place)
    limit = helium_2026.rssi_limit_dbm(
        round(EIRP_DBM), *HELIUM_GAINS_DDBI, max(1, round(metres)), FREQUENCY_HZ
    )
    return helium_2026.beyond_max_distance(round(metres)) or one.rssi_dbm > limit


def displace(place: Place, metres: float, turn: float) -> Place:
    """The place so far away, at a bearing of `turn` full turns from north."""
    north, east = (metres * f(2 * math.pi * turn) / _DEGREE_M for f in (math.cos, math.sin))
    return (
        place[0] + round(north * 1e6),
        place[1] + round(east / math.cos(math.radians(place[0] / 1e6)) * 1e6),
    )


def apart_m(a: Place, b: Place) -> float:
    """Great-circle metres."""
    lat_a, lat_b = (math.radians(place[0] / 1e6) for place in (a, b))
    half = math.radians((b[1] - a[1]) / 1e6) / 2
    chord = math.sin((lat_b - lat_a) / 2) ** 2
    chord += math.cos(lat_a) * math.cos(lat_b) * math.sin(half) ** 2
    return 2 * 6_371_009.0 * math.asin(math.sqrt(chord))


def _place(latitude: str | float, longitude: str | float) -> Place:
    return round(float(latitude) * 1e6), round(float(longitude) * 1e6)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0
