"""Draw the demo's epoch: stations in their H3 cells, and what each was paid.

Reads `cairn epoch show EPOCH --json` from standard input and writes the picture to the path given:

    cairn epoch show 20514 --data cairn-demo --json | python docs/pictures/make_demo_map.py out.svg

matplotlib and h3 do the drawing and the geometry; nothing here is part of the product.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from typing import Any

import h3
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

TOKEN = 10**18
# Colour-blind safe (Okabe and Ito 2008); the marker repeats what the colour says.
STYLES = {
    "anchored": ("#0072b2", "s", "anchored: audited by hand"),
    "witnessed": ("#009e73", "o", "witnessed: proven by radio"),
    "unproven": ("#e69f00", "D", "unproven: paid a little"),
    "standby": ("#999999", "x", "standby: too close to another"),
    "low": ("#d55e00", "v", "unpaid: quality below the threshold"),
}


def style_of(row: dict[str, Any]) -> str:
    """Name the group in STYLES that a station of the epoch's table belongs to."""
    if row["slot"] == "standby":
        return "standby"
    if row["slot"] != "holder":
        return "low"
    return str(row["class"])


def draw_cells(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Outline each reward cell (H3 resolution 7)."""
    for cell in sorted({row["reward_cell"] for row in rows}):
        ring = [(lon, lat) for lat, lon in h3.cell_to_boundary(cell)]
        axes.add_patch(Polygon(ring, facecolor="#eef3f7", edgecolor="#9fb3c8", linewidth=0.8))


def draw_stations(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Put each station at the centre of its scoring cell."""
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        lat, lon = h3.cell_to_latlng(row["cell"])
        groups[style_of(row)].append((lon, lat))
    for name, (colour, marker, label) in STYLES.items():
        if not groups[name]:
            continue
        lons, lats = zip(*groups[name], strict=True)
        text = f"{label} ({len(lons)})"
        axes.scatter(lons, lats, c=colour, marker=marker, s=34, label=text, zorder=3, gid=name)


def draw_pay(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Show every station's pay, largest first, on a logarithmic axis."""
    paid = sorted(rows, key=lambda row: (-int(row["paid"]), row["station"]))
    for name, (colour, _, _) in STYLES.items():
        bars = [(i, int(r["paid"]) / TOKEN) for i, r in enumerate(paid) if style_of(r) == name]
        if bars:
            axes.bar([i for i, _ in bars], [p for _, p in bars], color=colour, width=1.0)
    axes.set_yscale("log")
    axes.set_xlabel("stations, by pay")
    axes.set_ylabel("tokens for the day")


def main() -> None:
    epoch = json.load(sys.stdin)
    rows = epoch["stations"]
    # One document, one set of bytes: no dates, no random ids in the SVG.
    mpl.rcParams.update({"svg.hashsalt": "cairn", "font.size": 9})
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    place, pay = figure.subplots(1, 2, width_ratios=[3, 2])
    draw_cells(place, rows)
    draw_stations(place, rows)
    latitude = h3.cell_to_latlng(rows[0]["cell"])[0]
    # A degree of longitude shrinks with the cosine of the latitude.
    place.set_aspect(1 / math.cos(math.radians(latitude)))
    place.autoscale_view()
    place.set_xticks([])
    place.set_yticks([])
    place.legend(loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=8, ncols=2, frameon=False)
    place.set_title(f"Epoch {epoch['epoch']} of the demo: {len(rows)} simulated stations")
    draw_pay(pay, rows)
    pay.set_title("What each was paid")
    figure.savefig(sys.argv[1], metadata={"Date": None} if sys.argv[1].endswith(".svg") else None)


if __name__ == "__main__":
    main()
