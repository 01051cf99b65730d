"""Recorded readings on their way through real nodes: exact values and times, paid, audited."""

from decimal import Decimal

import pytest
from nacl.bindings import crypto_sign_seed_keypair

from simulator.board import device_id, key_seed
from simulator.recorded import CsvInvalid
from simulator.replay import run_replay
from simulator.seeds import stream
from tests.simulation.audits import audit_all, stored_samples

DAY_S = 86_400
FIRST_S = 17_167 * DAY_S


def device(name, seed=1):
    return device_id(crypto_sign_seed_keypair(key_seed(seed, name))[0])


def hourly_csv(path, stations=12, hours=48):
    """A made-up twin of the real file: hourly, one decimal, holes; return what it says."""
    generator = stream(4, "twin")
    said = {}
    with path.open("w") as file:
        file.write("station,unix_time,lat,lon,temperature[Cel],humidity[%]\n")
        for number in range(stations):
            lat, lon = 52.4 + number * 0.011, 13.3 + number * 0.007
            temperature = Decimal(generator.randrange(-50, 50)) / 10
            for hour in range(hours):
                temperature += Decimal(generator.randrange(-9, 10)) / 10
                cell = "" if generator.random() < 0.03 else f"{temperature:.1f}"
                time_s = FIRST_S + hour * 3_600
                file.write(f"s{number},{time_s},{lat:.6f},{lon:.6f},{cell},{60 + hour % 7}\n")
                said[f"s{number}", time_s * 1_000] = cell
    return said


def test_twin_of_the_real_file_is_admitted_paid_and_audited(tmp_path):
    said = hourly_csv(tmp_path / "twin.csv")
    seen = []
    report = run_replay(tmp_path / "twin.csv", tmp_path / "network", lambda *ms: seen.append(ms))
    assert report.failures == ()
    assert report.stations == 12
    assert report.messages_durable == report.messages_signed
    assert (report.rejected, report.deferred) == (0, 0)
    # The first epoch holds only the hellos of the evening before.
    assert [epoch.paid > 0 for epoch in report.epochs] == [False, True, True]
    assert all(epoch.stations == 12 for epoch in report.epochs)
    audit = audit_all(tmp_path / "network")
    assert audit.ok, [check for one in audit.reports for check in one.checks if not check.ok]
    assert [one.root for one in audit.reports] == [e.payout_root for e in report.epochs]
    assert seen[-1][0] == seen[-1][1]
    samples = stored_samples(tmp_path / "network")
    sent = {(name, time_ms): samples[device(name), 0][time_ms] for name, time_ms in said}
    assert sum(len(rows) for (_, quantity), rows in samples.items() if quantity == 0) == len(said)
    for key, cell in said.items():
        value, exponent = sent[key]
        assert (value is None) == (cell == "")
        if value is not None:
            assert Decimal(value).scaleb(exponent) == Decimal(cell)


def test_irregular_times_and_dense_rows_all_arrive(tmp_path):
    path = tmp_path / "irregular.csv"
    generator = stream(5, "irregular")
    rows = {"a": [], "b": []}
    for name, step_s in (("a", 61), ("b", 900)):
        time_ms = (FIRST_S + 7_000) * 1_000
        for _ in range(90):
            time_ms += step_s * 1_000 + generator.randrange(1_000 * step_s // 2)
            rows[name].append(time_ms)
    lines = [
        f"{name},{Decimal(time_ms) / 1000},1.5,2.5,{number}\n"
        for name, times in rows.items()
        for number, time_ms in enumerate(times)
    ]
    path.write_text("station,unix_time,lat,lon,pressure[mbar]\n" + "".join(lines))
    report = run_replay(path, tmp_path / "network")
    assert report.failures == ()
    samples = stored_samples(tmp_path / "network")
    for name, times in rows.items():
        expected = {time_ms: (number, 0) for number, time_ms in enumerate(times)}
        assert samples[device(name), 2] == expected


def test_same_file_gives_the_same_digest_and_another_seed_other_keys(tmp_path):
    hourly_csv(tmp_path / "twin.csv", stations=3, hours=5)
    one, two, other = (
        run_replay(tmp_path / "twin.csv", tmp_path / name, seed=seed)
        for name, seed in (("one", 1), ("two", 1), ("other", 2))
    )
    assert one.digest == two.digest != other.digest


@pytest.mark.parametrize(
    "rows, message",
    [
        ("a,1484000000,1,2,3\na,1484000000.5,1,2,3\n", "less than 1000 ms apart"),
        ("a,100,1,2,3\n", "too near to 1970"),
        ("a,1484000000,1,2,hot\n", "line 2, column temperature"),
    ],
)
def test_a_bad_file_writes_nothing(tmp_path, rows, message):
    (tmp_path / "bad.csv").write_text("station,unix_time,lat,lon,temperature[Cel]\n" + rows)
    with pytest.raises(CsvInvalid, match=message):
        run_replay(tmp_path / "bad.csv", tmp_path / "network")
    assert not (tmp_path / "network").exists()
