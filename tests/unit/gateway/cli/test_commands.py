"""The command line as a whole: help everywhere, --json on read verbs, faults and exit codes."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli import board, main
from gateway.cli.faults import as_fault
from gateway.cli.reference import commands, reference
from gateway.core.rules import RulesError

VERBS = dict(commands())
LEAVES = {name: verb for name, verb in VERBS.items() if not isinstance(verb, click.Group)}
# Starting Python is most of it; the second number is what rich, pydantic and friends would cost.
HELP_SECONDS_MAX = 0.5


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty working directory, and no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("CAIRN_"):
            monkeypatch.delenv(name)


def cairn(*arguments: str):
    return CliRunner().invoke(main, arguments)


def test_the_manual_is_what_the_commands_say(repo_root: Path):
    assert (repo_root / "docs" / "cli.md").read_text("utf-8") == reference(), (
        "run: python -m gateway.cli.reference > docs/cli.md"
    )


def test_verbs_that_are_imported_when_asked_for_are_in_the_manual():
    listed = cairn("board", "--help").output.partition("Commands:")[2].split("\n")
    names = {line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "}
    assert names == set(board.board.commands)
    assert {f"cairn board {name}" for name in names} <= set(LEAVES)


@pytest.mark.parametrize("name", VERBS)
def test_every_command_and_option_has_help(name: str):
    command = VERBS[name]
    assert command.help
    assert cairn(*name.split()[1:], "--help").exit_code == 0
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "seed":
            assert parameter.help or parameter.show_default, f"{name} {parameter.name}"


@pytest.mark.parametrize("name", LEAVES)
def test_every_verb_answers_in_json_on_demand(name: str):
    assert "--json" in [option for p in LEAVES[name].params for option in p.opts]


@pytest.mark.parametrize(
    "arguments, suggestion",
    [
        (["audt"], "Did you mean 'audit'?"),
        (["epoch", "lsit"], "Did you mean 'list'?"),
        (["fleet", "rum"], "Did you mean 'run'?"),
        (["board", "flsh"], "Did you mean 'flash'?"),
    ],
)
def test_an_unknown_verb_gets_a_suggestion(arguments, suggestion):
    result = cairn(*arguments)
    assert result.exit_code == 2
    assert suggestion in result.stderr
    assert result.stdout == ""


def test_version():
    result = cairn("--version")
    assert result.exit_code == 0
    assert result.output.startswith("cairn ")


def test_a_fault_says_what_why_do_and_code_on_stderr():
    result = cairn("epoch", "list", "--data", "nowhere")
    assert result.exit_code == 3
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: There is no network in nowhere.")
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["why", "do", "code"]
    assert lines[-1].endswith("network_missing")


@pytest.mark.parametrize(
    "arguments, code, word",
    [
        (["audit"], 2, "BUNDLE"),
        (["audit", "a", "--chain", "b"], 2, "--chain"),
        (["audit", "none.cairn"], 3, "file_unreadable"),
        (["audit", "none.cairn", "--manifest", "12"], 2, "64 hex digits"),
        (["audit", "--chain", "."], 3, "file_unreadable"),
        (["explain", "short", "1"], 2, "base32"),
        (["claim", "proof", "0x12"], 2, "40 hex digits"),
        (["epoch", "show", "-1"], 2, "-1"),
        (["export", "bundle", "x"], 2, "x"),
        (["fleet", "run", "--scenario", "demmo"], 1, "scenario_invalid"),
        (["fleet", "replay", "--csv", "none.csv"], 3, "file_unreadable"),
        (["bench", "rewards", "--node-modules", "none"], 3, "bench_impossible"),
        (["--config", "none.toml", "config", "show"], 2, "config_unreadable"),
        (["network", "show"], 3, "network_missing"),
        (["gateway", "run"], 3, "cairn network init"),
        (["gateway", "run", "--clock", "fast"], 2, "'fast'"),
        (["gateway", "run", "--mqtt-port", "65536"], 2, "65536"),
        (["gateway", "run", "--broker-url", "h:1"], 2, "config_invalid"),
        (["gateway", "doctor", "--data", "none"], 1, ""),
        (["station", "list"], 3, "network_missing"),
        (["station", "show", "short"], 2, "base32"),
        (["station", "approve", "a" * 26], 3, "network_missing"),
        (["station", "login-token", "none.key"], 3, "network_missing"),
    ],
)
def test_wrong_use_and_what_cannot_be_reached(arguments, code, word):
    result = cairn(*arguments)
    assert result.exit_code == code, result.output
    assert word in result.stderr
    assert "Traceback" not in result.output


def test_a_directory_that_no_run_made_is_not_replaced(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "keys.txt").write_text("precious")
    result = cairn("demo", "--once", "--data", "mine")
    assert result.exit_code == 1
    assert "data_not_ours" in result.stderr
    assert (tmp_path / "mine" / "keys.txt").read_text() == "precious"


def test_a_bug_is_not_dressed_up_as_a_fault():
    assert as_fault(ValueError("bug")) is None
    fault = as_fault(RulesError("What", "why", "Do", "rules_supply"))
    assert (fault.what, fault.why, fault.do, fault.code) == (
        "What.",
        "why.",
        "Do.",
        "rules_supply",
    )


def test_interrupted_means_130_and_no_traceback(monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object):
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.shell.settings.load", interrupted)
    result = cairn("config", "show")
    assert result.exit_code == 130
    assert "everything that was committed is kept" in result.stderr


def test_config_show_names_the_source_of_every_value(monkeypatch: pytest.MonkeyPatch):
    Path("cairn.toml").write_text("refused_samples_max = 3\n")
    monkeypatch.setenv("CAIRN_ADMISSION_POLICY", "approved")
    shown = json.loads(cairn("config", "show", "--json", "--data", "d").stdout)
    assert shown["data_dir"] == {"value": "d", "unit": "path", "source": "flag"}
    assert shown["admission_policy"]["source"] == "env CAIRN_ADMISSION_POLICY"
    assert shown["refused_samples_max"]["value"] == 3
    assert shown["refused_samples_max"]["source"] == "file cairn.toml"
    assert shown["store_busy_timeout_ms"]["source"] == "default"
    plain = cairn("config", "show").stdout
    assert "env CAIRN_ADMISSION_POLICY" in plain


def test_config_show_never_repeats_a_password(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CAIRN_BROKER_URL", "mqtt://gateway:hunter2@broker")
    result = cairn("config", "show")
    assert result.exit_code == 2
    assert "broker_password_file" in result.stderr
    assert "env CAIRN_BROKER_URL" in result.stderr
    assert "hunter2" not in result.output


def test_the_settings_file_may_be_named_in_the_environment(tmp_path: Path, monkeypatch):
    (tmp_path / "other.toml").write_text("data_dir = 'there'\n")
    monkeypatch.setenv("CAIRN_CONFIG", "other.toml")
    shown = json.loads(cairn("config", "show", "--json").stdout)
    assert shown["data_dir"] == {"value": "there", "unit": "path", "source": "file other.toml"}


def test_network_init_and_show_agree_and_show_no_key(tmp_path: Path):
    made = cairn(
        "network", "init", "berlin", "--data", "d", "--epoch-zero", "2026-03-02", "--json"
    )
    assert made.exit_code == 0
    answer = json.loads(made.stdout)
    assert answer["name"] == "berlin"
    assert answer["epoch_zero"] == 20514
    assert answer["simulated"] is False
    assert "root.key" in made.stderr
    shown = cairn("network", "show", "--data", "d", "--json")
    assert json.loads(shown.stdout) == answer
    secrets = [path.read_text().strip() for path in (tmp_path / "d" / "keys").iterdir()]
    assert len(secrets) == 4  # three keys, and the secret of the entropy
    for output in (made.output, shown.output, cairn("network", "show", "--data", "d").output):
        assert not any(secret in output for secret in secrets)
    again = cairn("network", "init", "berlin", "--data", "d")
    assert again.exit_code == 1
    assert "keys_exist" in again.stderr


def test_a_network_for_trials_says_so():
    made = json.loads(cairn("network", "init", "trial", "--simulated", "--json").stdout)
    assert made["simulated"] is True


@pytest.mark.parametrize("factor", [0, 10**9])
def test_a_missed_bar_is_a_result_not_a_failure(factor: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.cli.bench_sign.RATIO_BAR", factor)
    result = cairn("bench", "sign", "--rounds", "1", "--json")
    bar = json.loads(result.stdout)["bars"][0]
    assert (bar["op"], bar["met"]) == (">=", factor == 0)
    assert result.exit_code == 0


def test_bench_shows_bars_and_figures_to_people():
    result = cairn("bench", "sign", "--rounds", "1")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["measured", "value", "bar", "met"]
    assert [line.split()[0] for line in lines[1:5]] == [
        "sign_vs_naive",
        "sign_instructions",
        "sha512_block_rv32",
        "sha512_block_xtensa",
    ]
    figures = dict(line.split(maxsplit=1) for line in lines[6:])
    assert float(figures["sign_us_median"]) == float(figures["samples.sign_us"]) > 0


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_is_light(option: str):
    """Seconds are compared with those of a bare interpreter, so that a busy machine is fair."""
    ours = [_seconds("-m", "gateway.cli", option) for _ in range(5)]
    bare = [_seconds("-c", "pass") for _ in range(5)]
    assert statistics.median(ours) < max(HELP_SECONDS_MAX, 15 * statistics.median(bare))


def test_help_loads_nothing_heavy():
    code = (
        "import sys, gateway.cli; "
        "print([m for m in ('rich', 'pydantic', 'numpy', 'nacl', 'cbor2', 'h3', 'sqlite3',"
        " 'zstandard', 'simulator', 'cairn', 'fastapi', 'uvicorn', 'paho', 'httpx', 'asyncio',"
        " 'ntplib', 'prometheus_client', 'gateway.shell.settings') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def _seconds(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    return time.perf_counter() - start
