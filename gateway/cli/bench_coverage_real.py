"""The place test on real radio links, where the data are at hand, as a table of the bench."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.cli.bench_campusiot import calibrated
from gateway.cli.bench_coverage_judge import open_bench
from gateway.cli.bench_quality import default_data
from simulator.campusiot import LINKS, StationDay, evaluate, load

_FOLDER = "campusiot"
_SEED = 0


def real_radio(folder: Path | None) -> dict[str, Any]:
    """The table of simulator/campusiot.py under `real_radio`; nothing where the data are absent.

    folder: which holds campusiot/; the default is what `default_data` finds.
    """
    base = folder or default_data()
    if base is None or not (base / _FOLDER / LINKS).is_file():
        return {}
    return {"real_radio": accusations(load(base / _FOLDER))}


def accusations(days: Sequence[StationDay], bearings: int = 4) -> list[dict[str, Any]]:
    """By displacement of the claim (0 km: the true places), the shares that are refused.

    Each transmitter is judged with gateways whose own offsets only the other transmitters gave.
    """
    bench = open_bench(_SEED)
    table = evaluate(
        days,
        lambda training: calibrated(training, bench.rules.place, bench.tables),
        bearings,
    )
    return [
        {
            "displaced_km": row.displaced_km,
            "claims": row.cases,
            "cairn": round(row.ours, 4),
            "helium_2026_receptions": round(row.helium_reception, 4),
            "helium_2026_any": round(row.helium_any, 4),
        }
        for row in table
    ]
