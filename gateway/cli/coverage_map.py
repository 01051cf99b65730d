"""The stations' cells and the links between them, as GeoJSON or as a picture of its own.

The picture is SVG without any font, script or tile from elsewhere. Colours never stand alone:
every class has its letter, every kind of link its dashes, and every mark a title.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from math import cos, radians
from typing import Any

import h3

from gateway.cli.coverage_look import CoverageLook
from gateway.core.coverage.model import Link, StationCoverage
from gateway.core.epoch_inputs import StationRow
from gateway.core.explain_coverage import link_tree
from gateway.core.ids import device_name
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict

SUFFIXES = (".geojson", ".svg")

_SIZE = 1_000.0
_MARGIN = 40.0
_LEGEND = 150.0
_LETTERS = {
    StationClass.WITNESSED: ("W", "#2b6cb0"),
    StationClass.PEER_CHECKED: ("P", "#b7791f"),
    StationClass.UNPROVEN: ("U", "#718096"),
}
_REFUSED = ("!", "#c53030")
_LINES = {
    Verdict.HEARD: ("#2b6cb0", ""),
    Verdict.SAME_NETWORK: ("#2b6cb0", "8 4"),
    Verdict.SAME_OWNER: ("#718096", "2 4"),
    Verdict.NO_ANCHOR_PATH: ("#b7791f", "8 4 2 4"),
    Verdict.BEYOND_FREE_SPACE: ("#c53030", "4 4"),
}

_LEGEND_LINES = (
    "W witnessed or anchored, P peer-checked, U unproven",
    "! the radio contradicts the place; the ring is where it was heard from",
    "Lines: solid heard, dashed same connection, dotted same owner,",
    "dash-dot no path to an audited station, red beyond free space",
)

Position = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Mark:
    """A station as the picture shows it; best: where the radio says that it is, if elsewhere."""

    row: StationRow
    letter: str
    colour: str
    title: str
    best: Position | None


def geojson(look: CoverageLook) -> str:
    """A FeatureCollection: the stations' cells as polygons, links with a sound as lines.

    Coordinates are degrees, longitude first (RFC 7946); properties as in `cairn coverage --json`.
    """
    rows = {row.device: row for row in look.rows}
    known = {one.device: one for one in look.coverage.stations}
    cells = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [_ring(row.scoring_cell)]},
            "properties": _properties(known.get(row.device), row),
        }
        for row in look.rows
    ]
    lines = [
        {
            "type": "Feature",
            "geometry": {
                "type": "LineString",
                "coordinates": [
                    list(_position(rows[end].centre)) for end in (link.beaconer, link.witness)
                ],
            },
            "properties": {"kind": "link", **link_tree(link)},
        }
        for link in drawn_links(look)
    ]
    return json.dumps({"type": "FeatureCollection", "features": [*cells, *lines]}) + "\n"


def svg(look: CoverageLook) -> str:
    """The picture, 1,000 units wide."""
    known = {one.device: one for one in look.coverage.stations}
    marks = [_mark(known.get(row.device), row) for row in look.rows]
    rows = {row.device: row for row in look.rows}
    drawn = drawn_links(look)
    points = [point for row in look.rows for point in _corners(row.scoring_cell)]
    points += [mark.best for mark in marks if mark.best is not None]
    place, height = _frame(points)
    words = f"Coverage of epoch {look.epoch}: {len(marks)} stations, {len(drawn)} links"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE:.0f} '
            f'{height + _LEGEND:.0f}" role="img" font-family="sans-serif" font-size="14">'
        ),
        f"<title>{escape(words)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *(_line(link, rows, place) for link in drawn),
        *(_cell(mark, place) for mark in marks),
        *_legend(words, height),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _properties(known: StationCoverage | None, row: StationRow) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "kind": "station",
        "station": device_name(row.device),
        "cell": f"{row.scoring_cell:x}",
        "class": row.station_class.name.lower(),
        "verifiability_ppm": row.v_ppm,
        "coverage_usefulness_ppm": row.coverage_u_ppm,
        "coverage_paid": str(row.coverage_paid),
    }
    if known is not None:
        place = known.place
        properties |= {
            "beacons": known.expected,
            "heard": known.heard,
            "witnesses": known.witnesses,
            "hops": known.hops,
            "place": None if place is None else place.verdict.name.lower(),
            "most_likely_m": None if place is None else place.best_m,
        }
    return properties


def _mark(known: StationCoverage | None, row: StationRow) -> _Mark:
    letter, colour = _LETTERS[row.station_class]
    place = None if known is None else known.place
    best = None
    if place is not None and place.verdict is Verdict.PLACE_IMPLAUSIBLE:
        (letter, colour), best = _REFUSED, _position(place.best)
    tested = "place not tested" if place is None else place.verdict.name.lower()
    title = f"{device_name(row.device)}: {row.station_class.name.lower()}, {tested}"
    return _Mark(row, letter, colour, title, best)


def drawn_links(look: CoverageLook) -> list[Link]:
    """Links with a sound, between stations that the epoch knows: what both files show."""
    rows = {row.device for row in look.rows}
    return [
        link
        for link in look.coverage.links
        if link.verdict is not Verdict.SILENT and {link.beaconer, link.witness} <= rows
    ]


def _frame(points: list[Position]) -> tuple[Callable[[Position], Position], float]:
    """From degrees to the picture, north up, and the height of the map in it."""
    if not points:
        return (lambda _: (0.0, 0.0)), _MARGIN
    east = [point[0] for point in points]
    north = [point[1] for point in points]
    squeeze = cos(radians((min(north) + max(north)) / 2))
    span = max((max(east) - min(east)) * squeeze, max(north) - min(north), 1e-6)
    scale = (_SIZE - 2 * _MARGIN) / span

    def place(point: Position) -> Position:
        return (
            _MARGIN + (point[0] - min(east)) * squeeze * scale,
            _MARGIN + (max(north) - point[1]) * scale,
        )

    return place, 2 * _MARGIN + (max(north) - min(north)) * scale


def _line(link: Link, rows: dict[bytes, StationRow], place: Callable[[Position], Position]) -> str:
    colour, dashes = _LINES.get(link.verdict, ("#718096", "1 3"))
    (x1, y1), (x2, y2) = (
        place(_position(rows[end].centre)) for end in (link.beaconer, link.witness)
    )
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    title = (
        f"{device_name(link.witness)} heard {device_name(link.beaconer)} {link.heard} times: "
        f"{link.verdict.name.lower()}"
    )
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-opacity="0.35"{dashed}><title>{escape(title)}</title></line>'
    )


def _cell(mark: _Mark, place: Callable[[Position], Position]) -> str:
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, _corners(mark.row.scoring_cell)))
    x, y = place(_position(mark.row.centre))
    elsewhere = ""
    if mark.best is not None:
        to_x, to_y = place(mark.best)
        elsewhere = (
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
            f'stroke="{mark.colour}" stroke-width="2"/><circle cx="{to_x:.1f}" cy="{to_y:.1f}" '
            f'r="6" fill="none" stroke="{mark.colour}" stroke-width="2"/>'
        )
    return (
        f"<g><title>{escape(mark.title)}</title>{elsewhere}"
        f'<polygon points="{corners}" fill="{mark.colour}" fill-opacity="0.3" '
        f'stroke="{mark.colour}"/><text x="{x:.1f}" y="{y + 5:.1f}" text-anchor="middle">'
        f"{mark.letter}</text></g>"
    )


def _legend(words: str, height: float) -> Iterable[str]:
    for number, text in enumerate((words, *_LEGEND_LINES)):
        yield f'<text x="{_MARGIN:.0f}" y="{height + 30 + 24 * number:.0f}">{escape(text)}</text>'


def _ring(cell: int) -> list[list[float]]:
    corners = [list(point) for point in _corners(cell)]
    return [*corners, corners[0]]


def _corners(cell: int) -> list[Position]:
    return [(longitude, latitude) for latitude, longitude in h3.cell_to_boundary(f"{cell:x}")]


def _position(centre: tuple[int, int]) -> Position:
    """Longitude and latitude in degrees."""
    return centre[1] / 1e6, centre[0] / 1e6
