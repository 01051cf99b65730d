"""200 real citizen stations x 48 hours: admitted, paid and audited. The data is not ours to ship;
test_replay.py has a synthetic twin that always runs.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from simulator.weather import DAY_MS
from tests.simulation.audits import audit_all, stored_samples
from tests.simulation.gateways import driven_gateway

STATIONS, HOURS = 200, 48
MISSING = -32_768


@pytest.fixture
def real_csv(shared_data, tmp_path):
    """The file and {unix ms: sorted tenths of a degree, missing left out} of it."""
    path = shared_data / "netatmo" / "netatmo_berlin_2017-01.npz"
    if not path.is_file():
        pytest.skip(f"shared data absent: no {path.name}")
    with np.load(path) as data:
        tenths = data["ta10"][:HOURS]
        chosen = np.flatnonzero((tenths != MISSING).any(axis=0))[:STATIONS]
        hours, names = data["hour"][:HOURS], data["p_id"]
        lat, lon = data["lat"], data["lon"]
    rows = ["station,unix_time,lat,lon,temperature[Cel]\n"]
    for station in chosen:
        for hour, tenth in zip(hours, tenths[:, station], strict=True):
            cell = "" if tenth == MISSING else f"{tenth / 10:.1f}"
            place = f"{lat[station]:.6f},{lon[station]:.6f}"
            rows.append(f"netatmo {names[station]},{int(hour) * 3600},{place},{cell}\n")
    (tmp_path / "netatmo.csv").write_text("".join(rows))
    said = {
        int(hour) * 3_600_000: sorted(int(t) for t in row[chosen] if t != MISSING)
        for hour, row in zip(hours, tenths, strict=True)
    }
    return tmp_path / "netatmo.csv", said


def cairn(*arguments):
    """The JSON answer of the command, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_all(report, folder, said):
    """Nothing is missing, all is paid for and audited, and every value has its own time."""
    assert report["failures"] == []
    assert report["stations"] == STATIONS
    assert report["messages_durable"] == report["messages_signed"] > STATIONS * HOURS
    assert (report["rejected"], report["deferred"], report["messages_dropped"]) == (0, 0, 0)
    assert [int(epoch["paid"]) > 0 for epoch in report["epochs"]] == [False, True, True]
    audit_all(folder)
    audit = cairn("audit", "--chain", folder / "bundles")
    assert audit["ok"]
    assert [one["root"] for one in audit["bundles"]] == [e["root"] for e in report["epochs"]]
    stored: dict[int, list[int]] = {time_ms: [] for time_ms in said}
    for rows in stored_samples(folder).values():
        for time_ms, (value, exponent) in rows.items():
            if value is not None:
                assert exponent == -1
                stored[time_ms].append(value)
    assert {time_ms: sorted(values) for time_ms, values in stored.items()} == said


@pytest.mark.slow
def test_real_stations_are_admitted_paid_and_audited(real_csv, tmp_path):
    path, said = real_csv
    report = cairn("fleet", "replay", "--csv", path, "--data", tmp_path / "network")
    check_all(report, tmp_path / "network", said)


@pytest.mark.slow
def test_the_same_over_mqtt(real_csv, tmp_path):
    path, said = real_csv
    folder = tmp_path / "network"
    # Boards are switched on before their first row, on the day before.
    with driven_gateway(folder, min(said) - DAY_MS, seed=1):
        report = cairn(
            *("fleet", "replay", "--csv", path, "--broker", "auto", "--network", folder)
        )
    check_all(report, folder, said)
    assert report["duplicates"] == report["resends"] == report["transport"]["stalled_slots"] == 0
    assert report["transport"]["reconnects"] == 0
