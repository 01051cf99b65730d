"""Draw how a sensor is wired to a board, as SVG.

    python docs/pictures/make_wiring.py docs/pictures

writes one picture for each of WIRINGS. The pins are those that docs/flash-a-board.md names.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

# Colour-blind safe (Okabe and Ito 2008); every wire also carries its name.
RED, BLACK, BLUE, GREEN = "#d55e00", "#444444", "#0072b2", "#009e73"
BOARD_X, PART_X, TOP, ROW = 70, 520, 84, 44
BOARD_WIDTH, PART_WIDTH = 190, 200


@dataclass(frozen=True)
class Wire:
    """From a pin of the board to a pin of the part; note: what else belongs to it."""

    board: str
    part: str
    colour: str
    note: str = ""


@dataclass(frozen=True)
class Wiring:
    """name: of the file; part: as printed on the module; advice: one line below the picture."""

    name: str
    title: str
    part: str
    advice: str
    wires: tuple[Wire, ...]


WIRINGS = (
    Wiring(
        "wiring-bme280",
        "BME280: temperature, humidity, pressure",
        "BME280 module",
        "Most modules bring the two pull-up resistors (4.7 kΩ from SDA and SCL to 3V3).",
        (
            Wire("3V3", "VIN", RED, "3.3 V"),
            Wire("GND", "GND", BLACK, "ground"),
            Wire("GPIO 21", "SDA", BLUE, "data"),
            Wire("GPIO 22", "SCL", GREEN, "clock"),
        ),
    ),
    Wiring(
        "wiring-dht22",
        "DHT22 (AM2302): temperature, humidity",
        "DHT22",
        "A bare DHT22 needs 10 kΩ from DATA to 3V3; modules on a small board bring it.",
        (
            Wire("3V3", "VCC", RED, "3.3 V"),
            Wire("GPIO 4", "DATA", BLUE, "data"),
            Wire("GND", "GND", BLACK, "ground"),
        ),
    ),
    Wiring(
        "wiring-pms5003",
        "PMS5003: fine dust (PM2.5, PM10)",
        "PMS5003",
        "The fan needs 5 V; the data line is 3.3 V and goes straight to the board.",
        (
            Wire("5V (VIN)", "VCC (pin 1)", RED, "5 V"),
            Wire("GND", "GND (pin 2)", BLACK, "ground"),
            Wire("GPIO 17", "RX (pin 4)", GREEN, "to the part"),
            Wire("GPIO 16", "TX (pin 5)", BLUE, "to the board"),
        ),
    ),
)


def text(x: int, y: int, words: str, style: str) -> str:
    """One line of text; style: a class of STYLE."""
    return f'<text x="{x}" y="{y}" class="{style}">{escape(words)}</text>'


def box(x: int, width: int, height: int, name: str) -> str:
    """A board or a part, with its name on it."""
    shape = f'<rect x="{x}" y="{TOP - 34}" width="{width}" height="{height}" rx="10" class="box"/>'
    return shape + text(x + width // 2, TOP - 10, name, "name")


def wire(number: int, one: Wire) -> str:
    """The wire in row `number`, from pad to pad, with what it carries."""
    y = TOP + 26 + number * ROW
    left, right = BOARD_X + BOARD_WIDTH, PART_X
    middle = (left + right) // 2
    pads = "".join(f'<circle cx="{x}" cy="{y}" r="6" fill="{one.colour}"/>' for x in (left, right))
    line = (
        f'<path d="M{left} {y} C{middle - 40} {y - 14} {middle + 40} {y + 14} {right} {y}" '
        f'stroke="{one.colour}" class="wire"/>'
    )
    return "".join(
        (
            line,
            pads,
            text(left - 14, y + 5, one.board, "pin end"),
            text(right + 14, y + 5, one.part, "pin"),
            text(middle, y - 10, one.note, "note"),
        )
    )


STYLE = """<style>
text { font: 15px sans-serif; fill: #222 }
.title { font: 600 19px sans-serif }
.name { font-weight: 600; text-anchor: middle }
.end { text-anchor: end }
.note { font-size: 13px; text-anchor: middle; fill: #555 }
.advice { font-size: 14px }
.box { fill: #eef3f7; stroke: #9fb3c8; stroke-width: 1.5 }
.wire { fill: none; stroke-width: 4 }
</style>"""


def _opening(wiring: Wiring, names: str, height: int) -> str:
    label = escape(f"{wiring.title}: {names}")
    box = f"0 0 790 {height}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" aria-label="{label}">'
    )


def drawn(wiring: Wiring) -> str:
    """The whole picture."""
    height = 34 + 26 + len(wiring.wires) * ROW
    names = ", ".join(f"{one.board} to {one.part}" for one in wiring.wires)
    parts = [
        _opening(wiring, names, TOP + height + 16),
        STYLE,
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        text(BOARD_X, 32, wiring.title, "title"),
        box(BOARD_X, BOARD_WIDTH, height, "ESP32 board"),
        box(PART_X, PART_WIDTH, height, wiring.part),
        *(wire(number, one) for number, one in enumerate(wiring.wires)),
        text(BOARD_X, TOP + height + 2, wiring.advice, "advice"),
        "</svg>\n",
    ]
    return "\n".join(parts)


def main() -> None:
    folder = Path(sys.argv[1])
    for wiring in WIRINGS:
        (folder / f"{wiring.name}.svg").write_text(drawn(wiring), encoding="utf-8")


if __name__ == "__main__":
    main()
