"""All sensors of a station: config.sensors to drivers, of which only those named are imported."""

from ..errors import OperatorError  # noqa: TID252 - inside cairn imports are relative

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Sequence

    from . import Buses, Entry, Reading, Sleep
    from .part import Part

# Part codes of config.sensors (docs/sensors.md); they never change.
BME280 = 1
SHT3X = 2
SHT4X = 3
SCD4X = 4
PMS5003 = 5
SDS011 = 6
VEML7700 = 7
GNSS = 8
DHT11 = 9
DHT22 = 10
DS18X20 = 11
ADC = 12


class Rack:
    def __init__(self, sensors: "Sequence[Entry]", buses: "Buses") -> None:
        """OperatorError: an entry is refused. No bus is touched."""
        self.parts: "list[Part]" = []
        taken: "list[tuple[int, int]]" = []
        for entry in sensors:
            made = _made(entry, buses)
            for quantity, _ in made.gives:
                if (quantity, made.channel) in taken:
                    raise _refused(entry, "another one has its quantity and channel")
                taken.append((quantity, made.channel))
            self.parts.append(made)

    async def sample(self, sleep: "Sleep") -> "list[Reading]":
        """One reading of every quantity and channel, in the order of the configuration."""
        readings = []
        for one in self.parts:
            readings += await one.read(sleep)
        return readings

    def time(self) -> "tuple[int, int, int] | None":
        """(utc_ms, at ticks, uncertainty_ms) as a GNSS receiver said in the last sample."""
        for one in self.parts:
            if one.time is not None:
                return one.time
        return None


def _made(entry: "Entry", buses: "Buses") -> "Part":
    part = entry[0]
    if len(entry) < (8 if part == ADC else 3) or entry[1] < 0 or entry[2] < 0:
        raise _refused(entry, "fields are missing or negative")
    if part == BME280:
        from .bme280 import Bme280

        return Bme280(entry, buses)
    if part in (SHT3X, SHT4X):
        from .sht import Sht

        return Sht(entry, buses)
    if part == SCD4X:
        from .scd4x import Scd4x

        return Scd4x(entry, buses)
    if part in (PMS5003, SDS011):
        from .dust import Dust

        return Dust(entry, buses)
    if part == VEML7700:
        from .veml7700 import Veml7700

        return Veml7700(entry, buses)
    if part == GNSS:
        from .gnss import Gnss

        return Gnss(entry, buses)
    if part in (DHT11, DHT22):
        from .dht import Dht

        return Dht(entry, buses)
    if part == DS18X20:
        from .ds18x20 import Ds18x20

        return Ds18x20(entry, buses)
    if part == ADC:
        from .adc import EXPONENTS, Adc

        if not 0 <= entry[3] < len(EXPONENTS) or entry[4] == entry[6]:
            raise _refused(entry, "its quantity is unknown or its two voltages are one")
        return Adc(entry, buses)
    raise _refused(entry, "there is no such part")


def _refused(entry: "Entry", why: str) -> OperatorError:
    what = "sensor %s is refused" % list(entry)
    return OperatorError("config.sensors", what, why, "Write the entry as docs/sensors.md says.")
