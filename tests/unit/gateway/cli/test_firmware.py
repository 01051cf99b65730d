"""`cairn firmware build`: the file, what it tells, and its faults."""

import hashlib
import json

import pytest
from click.testing import CliRunner

from gateway.cli.app import main
from gateway.device.image import unpack

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        return CliRunner().invoke(main, ["firmware", "build", *map(str, arguments)])

    return invoke


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "cairn").mkdir(parents=True)
    (folder / "main.py").write_text("from cairn import station\nstation.start_the_station()\n")
    (folder / "cairn" / "station.py").write_text("def start_the_station():\n    return 1\n")
    return folder


def test_it_writes_the_image_and_tells_what_is_in_it(run, source, tmp_path):
    done = run("--source", source, "--json", "--names", "names.json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    data = (tmp_path / told["file"]).read_bytes()
    assert told["file"] == "cairn-xtensawin.littlefs"
    assert told["sha256"] == hashlib.sha256(data).hexdigest()
    assert {file["name"] for file in told["files"]} == unpack(data).keys()
    names = json.loads((tmp_path / "names.json").read_text())
    olds = {old for unit in names.values() for old in unit.values()}
    assert "cairn.station:start_the_station" in olds


def test_the_table_names_every_file(run, source, tmp_path):
    done = run("--source", source, "--output", "x.img", "--architecture", "rv32imc", "--plain")
    assert done.exit_code == 0, done.output
    assert "cairn/station.mpy" in done.stdout
    files = unpack((tmp_path / "x.img").read_bytes())
    assert files.keys() >= {"a/cairn/station.mpy", "a/release", "launch.mpy", "slots"}
    assert files["main.py"] == b"import launch\nlaunch.start()\n"


def test_a_counter_and_an_offer_go_into_it(run, source, tmp_path):
    (tmp_path / "offer.cbor").write_bytes(b"a configuration")
    done = run("--source", source, "--counter", "7", "--offer", "offer.cbor", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    files = unpack((tmp_path / told["file"]).read_bytes())
    assert told["counter"] == 7
    assert files["offer"] == b"a configuration"
    assert files["a/release"].startswith(b"cairn 1 7 xtensawin ")


@pytest.mark.parametrize(
    "arguments, code, status",
    [
        (["--source", "absent"], "firmware_missing", 3),
        (["--output", "absent/x"], "file_unwritable", 3),
        (["--offer", "absent"], "file_unreadable", 3),
        (["--names", "absent/x"], "file_unwritable", 3),
        (["--partition", "64"], "image_too_large", 2),
    ],
)
def test_faults_have_stable_codes(run, arguments, code, status):
    done = run(*arguments)
    assert done.exit_code == status, done.output
    assert code in done.stderr


def test_a_broken_source_is_refused(run, source):
    (source / "cairn" / "station.py").write_text("def start_the_station(:\n")
    done = run("--source", source)
    assert done.exit_code == 1
    assert "firmware_refused" in done.stderr
