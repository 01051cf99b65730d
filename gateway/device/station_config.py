"""The configuration of a station as the board stores it: the bytes of firmware/cairn/config.py.

This side only writes it. Whether its values make sense is the board's to say, by the same rules
at every way in; a test holds both encoders to the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.cbor_profile import encode

VERSION = 4
# The console takes no more: both copies are blobs of the chip's NVS, 4,000 bytes each.
CONFIG_BYTES_MAX = 3_600
MAINS = (0, 0, 0)
BATTERY = 1

Quantity = tuple[int, int, int]
Sensor = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StationConfig:
    """In the order in which they are encoded, and with the defaults of the firmware.

    quantities: (quantity, channel, interval_ms), ascending; duty: (class, period ms, phase ms);
    antenna: (gain in 0.01 dBi, height in 0.1 m); sensors: as docs/sensors.md has them.
    """

    genesis: bytes
    quantities: Sequence[Quantity]
    sample_interval_ms: int
    samples_per_message: int
    status_interval_ms: int
    scoring_cell: int
    place_commitment: bytes
    owner: bytes | None = None
    owner_proof: bytes | None = None
    duty: tuple[int, int, int] = MAINS
    antenna: tuple[int, int] | None = None
    time_host: str | None = None
    time_port: int = 80
    outbox_bytes_max: int = 524_288
    broker_host: str | None = None
    broker_port: int = 1883
    broker_ca: bytes | None = None
    broker_password: str | None = None
    keepalive_s: int = 60
    region: int = 0
    beacon_every: int = 120
    sntp_host: str | None = None
    sensors: Sequence[Sensor] = ()
    store_every_ms: int = 60_000

    def encode(self) -> bytes:
        """The bytes that the board takes."""
        return encode([VERSION, *(getattr(self, name) for name in self.__slots__)])
