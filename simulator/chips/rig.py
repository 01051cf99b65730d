"""The drivers of a station on models of their parts, sampled by hand. The only module here that
knows the drivers.
"""

from cairn.sensors.rack import Rack

from .bench import ChipBuses
from .clock import HandClock, finished

TYPE_CHECKING = False  # there is no typing module on MicroPython
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .chip import Chip

# Entries of config.sensors, one for each part, as docs/sensors.md has them.
BME280 = [1, 0, 0]
SHT3X = [2, 0, 0, 0x45]
SHT4X = [3, 0, 0, 0, 21, 22]
SCD4X = [4, 0, 0]
PMS5003 = [5, 0, 1, 17, 16]
SDS011 = [6, 0, 1]
VEML7700 = [7, 0, 0]
GNSS = [8, 0, 2]
DHT11 = [9, 0, 4]
DHT22 = [10, 0, 4]
DS18X20 = [11, 0, 5]
ADC = [12, 0, 34, 10, 500_000, 1_000, 2_000_000, 4_000]


class Rig:
    """chip: the model of the first sensor. One sample is taken when it is made."""

    def __init__(self, *sensors: "Sequence[int]") -> None:
        self.clock = HandClock()
        self.buses = ChipBuses(sensors, self.clock.ticks)
        self.chip: Chip = self.buses.chips[0]
        self.rack = Rack(sensors, self.buses)
        self.sample()

    def sample(self, pause_ms: int = 60_000) -> "list[tuple[int, int, int, int | None, int]]":
        """One sample, and a pause after it."""
        readings: list[tuple[int, int, int, int | None, int]]
        readings = finished(self.rack.sample(self.clock.sleep))
        self.clock.now += pause_ms
        return readings

    def values(self) -> "list[int | None]":
        return [reading[3] for reading in self.sample()]

    def faults(self) -> "list[int]":
        """The fault codes of one sample, none of whose readings has a value."""
        readings = self.sample()
        assert all(reading[3] is None for reading in readings), readings
        return [reading[4] for reading in readings]
