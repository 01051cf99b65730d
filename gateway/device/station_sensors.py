"""Sensors as an owner names them, `bme280:sda=21,scl=22`, as the entries of a configuration.

What each part measures is written here a second time, because a gateway knows no firmware; a test
asks the drivers whether it is true.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from gateway.core.quantities import Quantity, parse_quantities
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.spec_files import read_spec

Entry = tuple[int, ...]
Pair = tuple[int, int]
Pins = tuple[int | None, int | None]

SENSORS_MAX = 16
_ADC = 12
_TEMPERATURE, _HUMIDITY, _PRESSURE, _PM2_5, _PM10, _CO2, _ILLUMINANCE = range(7)
_I2C = ("bus", "address", "sda", "scl")
_UART = ("line", "tx", "rx")
_PIN = ("pin",)
_LINE = ("pin", "quantity", "uv0", "value0", "uv1", "value1")
# Console of the board on line 0.
_FIRST_UART = 1
_NO_PINS: Pins = (None, None)
# I2C buses of an ESP32, and its serial lines besides the console's. A C3 has one of each, and its
# board says so itself.
_BUSES = 2
_PIN_MAX = 48
_CHANNEL_MAX = 255


@dataclass(frozen=True, slots=True)
class Part:
    """fields: names behind part and channel; the first `needed` of them must be given. warms: it
    counts only some seconds after its supply came, so not in a station that sleeps.
    """

    code: int
    gives: tuple[int, ...]
    fields: tuple[str, ...]
    needed: tuple[str, ...] = ()
    warms: bool = False


PARTS: Mapping[str, Part] = {
    "bme280": Part(1, (_TEMPERATURE, _HUMIDITY, _PRESSURE), _I2C),
    "sht3x": Part(2, (_TEMPERATURE, _HUMIDITY), _I2C),
    "sht4x": Part(3, (_TEMPERATURE, _HUMIDITY), _I2C),
    "scd4x": Part(4, (_CO2, _TEMPERATURE, _HUMIDITY), _I2C, warms=True),
    "pms5003": Part(5, (_PM2_5, _PM10), _UART, warms=True),
    "sds011": Part(6, (_PM2_5, _PM10), _UART, warms=True),
    "veml7700": Part(7, (_ILLUMINANCE,), _I2C),
    "gnss": Part(8, (), _UART),
    "dht11": Part(9, (_TEMPERATURE, _HUMIDITY), _PIN, _PIN),
    "dht22": Part(10, (_TEMPERATURE, _HUMIDITY), _PIN, _PIN),
    "ds18x20": Part(11, (_TEMPERATURE,), (*_PIN, "serial"), _PIN),
    "adc": Part(_ADC, (), _LINE, _LINE),
}
_NAMES = {part.code: name for name, part in PARTS.items()}


def entries(named: Iterable[str]) -> tuple[Entry, ...]:
    """The entries of sensors that were written as NAME[:FIELD=VALUE,...], in their order.

    A channel, bus or line that is not given is the first that is free. OperatorFault:
    sensor_invalid.
    """
    found: list[Entry] = []
    taken: set[Pair] = set()
    buses: dict[int, Pins] = {}
    lines: set[int] = set()
    for text in named:
        part, given = _read(text)
        channel = given.pop("channel", None)
        quantities = (given["quantity"],) if part.code == _ADC else part.gives
        channel = _channel(text, channel, quantities, taken)
        taken |= {(quantity, channel) for quantity in quantities}
        if part.fields == _I2C:
            _choose_i2c(text, given, buses)
        elif part.fields == _UART:
            _choose_uart(text, given, lines)
        found.append((part.code, channel, *_fields(text, part, given)))
    if len(found) > SENSORS_MAX:
        _refuse(f"{len(found)} sensors", f"A station carries at most {SENSORS_MAX}.")
    return tuple(found)


def gives(sensors: Iterable[Entry]) -> list[Pair]:
    """(quantity, channel) of all that these entries measure, ascending, as a hello declares it."""
    found = set()
    for entry in sensors:
        part = PARTS[_NAMES[entry[0]]]
        quantities = (entry[3],) if part.code == _ADC else part.gives
        found |= {(quantity, entry[1]) for quantity in quantities}
    return sorted(found)


def warming(sensors: Iterable[Entry]) -> list[str]:
    """Names of the parts that give nothing to a station that sleeps between samples."""
    return [_NAMES[entry[0]] for entry in sensors if PARTS[_NAMES[entry[0]]].warms]


def described(entry: Entry) -> str:
    """An entry as an owner would write it."""
    name = _NAMES.get(entry[0])
    if name is None:
        return str(list(entry))
    fields = PARTS[name].fields
    words = [f"{field}={value}" for field, value in zip(fields, entry[2:], strict=False)]
    return f"{name}:channel={entry[1]}" + "".join(f",{word}" for word in words)


def _read(text: str) -> tuple[Part, dict[str, int]]:
    name, _, rest = text.strip().lower().partition(":")
    part = PARTS.get(name)
    if part is None:
        near = get_close_matches(name, PARTS, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(PARTS)}."
        _refuse(text, f"There is no part {name!r}. {hint}")
    given: dict[str, int] = {}
    for word in filter(None, rest.split(",")):
        field, _, value = word.partition("=")
        if field not in ("channel", *part.fields) or field in given:
            known = ", ".join(("channel", *part.fields))
            _refuse(text, f"{name} has no field {field!r} to set here; it has {known}, each once.")
        given[field] = _number(text, field, value)
    for field in part.needed:
        if field not in given:
            _refuse(text, f"{name} needs {field}.")
    return part, given


def _number(text: str, field: str, value: str) -> int:
    if field == "quantity":
        codes = {quantity.name: quantity.code for quantity in quantities().values()}
        if value not in codes:
            _refuse(text, f"There is no quantity {value!r}; known are {', '.join(codes)}.")
        return codes[value]
    try:
        number = int(value, 0)
    except ValueError:
        _refuse(text, f"{field} must be a whole number, not {value!r}.")
    limits = {"value0": (-(1 << 31), 1 << 31), "value1": (-(1 << 31), 1 << 31)}
    limits |= dict.fromkeys(("uv0", "uv1"), (0, 5_000_000))
    limits |= dict.fromkeys(("pin", "sda", "scl", "tx", "rx"), (0, _PIN_MAX))
    limits |= {"address": (0, 127), "channel": (0, _CHANNEL_MAX), "serial": (1, (1 << 48) - 1)}
    limits |= {"bus": (0, 1), "line": (_FIRST_UART, 2)}
    low, high = limits[field]
    if not low <= number <= high:
        _refuse(text, f"{field} is {number}, and goes from {low} to {high}.")
    return number


def _channel(text: str, wanted: int | None, quantities: Sequence[int], taken: set[Pair]) -> int:
    def free(channel: int) -> bool:
        return all((quantity, channel) not in taken for quantity in quantities)

    if wanted is None:
        return next(channel for channel in range(_CHANNEL_MAX) if free(channel))
    if not free(wanted):
        _refuse(text, "Another sensor gives the same quantity on that channel.")
    return wanted


def _choose_i2c(text: str, given: dict[str, int], buses: dict[int, Pins]) -> None:
    """Parts on the same pins share a bus; other pins are another one."""
    pins = (given.get("sda"), given.get("scl"))
    if "bus" not in given:
        shared = [bus for bus, of in buses.items() if pins in (of, _NO_PINS)]
        free = [bus for bus in range(_BUSES) if bus not in buses]
        if not shared and not free:
            _refuse(text, f"A board has {_BUSES} I2C buses, and others use them.")
        given["bus"] = min(shared or free)
    if pins not in (_NO_PINS, buses.setdefault(given["bus"], pins)):
        _refuse(text, f"I2C bus {given['bus']} has other pins already.")


def _choose_uart(text: str, given: dict[str, int], lines: set[int]) -> None:
    """A serial line has one part."""
    free = [line for line in range(_FIRST_UART, _FIRST_UART + _BUSES) if line not in lines]
    line = given.setdefault("line", free[0] if free else 0)
    if line not in free:
        _refuse(text, "Other sensors use the serial lines of the board; one has one part.")
    lines.add(line)


def _fields(text: str, part: Part, given: dict[str, int]) -> list[int]:
    """Up to the last one that was given; pins come in pairs or not at all."""
    for one, other in (("sda", "scl"), ("tx", "rx")):
        if (one in given) != (other in given):
            _refuse(text, f"{one} and {other} are given together or left out together.")
    if part.code == _ADC and given["uv0"] == given["uv1"]:
        _refuse(text, "uv0 and uv1 are two different voltages.")
    last = max(index for index, field in enumerate(part.fields) if field in given)
    return [given.get(field, 0) for field in part.fields[: last + 1]]


def quantities() -> Mapping[int, Quantity]:
    """What there is to measure, by code."""
    return parse_quantities(read_spec("quantities.toml"))


def _refuse(text: str, why: str) -> NoReturn:
    raise OperatorFault(
        f"The sensor {text!r} cannot be set up.",
        why,
        "Write it as docs/sensors.md says, for instance bme280:sda=21,scl=22.",
        Code.SENSOR_INVALID,
    )
