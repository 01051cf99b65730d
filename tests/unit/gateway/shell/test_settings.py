"""Settings: which source wins, what is refused, and that the manual is complete."""

import re
from pathlib import Path

import pytest

from gateway.cli.gateway import run
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.settings import fields, load, unit

NAME = "refused_samples_max"
ENV = "CAIRN_REFUSED_SAMPLES_MAX"


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No settings around the test: no cairn.toml, no CAIRN_* variable."""
    monkeypatch.chdir(tmp_path)
    for name in fields():
        monkeypatch.delenv(f"CAIRN_{name.upper()}", raising=False)


@pytest.mark.parametrize(
    "given, value, source",
    [
        ((None, None, None), 16, "default"),
        ((None, None, 3), 3, "file cairn.toml"),
        ((None, "4", None), 4, f"env {ENV}"),
        ((None, "4", 3), 4, f"env {ENV}"),
        ((5, None, None), 5, "flag"),
        ((5, None, 3), 5, "flag"),
        ((5, "4", None), 5, "flag"),
        ((5, "4", 3), 5, "flag"),
    ],
)
def test_flag_over_environment_over_file(monkeypatch: pytest.MonkeyPatch, given, value, source):
    flag, env, file = given
    environ = {}
    if env is not None:
        monkeypatch.setenv(ENV, env)
        environ[ENV] = env
    if file is not None:
        Path("cairn.toml").write_text(f"{NAME} = {file}\n")
    loaded = load({NAME: flag}, None, environ)
    assert loaded.settings.refused_samples_max == value
    assert loaded.sources[NAME] == source


def fault_of(flags, file, environ) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        load(flags, file, environ)
    return caught.value


def test_an_unknown_key_in_the_file_is_refused_with_a_suggestion():
    Path("cairn.toml").write_text("data_dri = 'x'\n")
    fault = fault_of({}, None, {})
    assert fault.code == Code.CONFIG_UNKNOWN
    assert "data_dri" in fault.what
    assert fault.do == "Did you mean data_dir?"


def test_an_unknown_variable_is_refused_with_a_suggestion():
    fault = fault_of({}, None, {"CAIRN_ADMISION_POLICY": "open"})
    assert fault.code == Code.CONFIG_UNKNOWN
    assert fault.do == "Did you mean CAIRN_ADMISSION_POLICY?"


def test_variables_of_others_are_none_of_our_business():
    assert load({}, None, {"CAIRNS": "1", "PATH": "x", "CAIRN_CONFIG": "y"}).sources


def test_a_value_that_does_not_fit_names_its_source(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CAIRN_ADMISSION_POLICY", "closed")
    fault = fault_of({}, None, {"CAIRN_ADMISSION_POLICY": "closed"})
    assert fault.code == Code.CONFIG_INVALID
    assert "admission_policy" in fault.what
    assert "CAIRN_ADMISSION_POLICY" in fault.why


def test_a_named_file_must_exist(tmp_path: Path):
    assert fault_of({}, tmp_path / "none.toml", {}).code == Code.CONFIG_UNREADABLE


def test_a_broken_file_is_named(tmp_path: Path):
    path = tmp_path / "broken.toml"
    path.write_text("data_dir = \n")
    fault = fault_of({}, path, {})
    assert fault.code == Code.CONFIG_UNREADABLE
    assert str(path) in fault.what


def test_the_keys_lie_in_the_data_directory_unless_set():
    assert load({"data_dir": Path("d")}, None, {}).keys_dir == Path("d/keys")
    assert load({"keys_dir": Path("k")}, None, {}).keys_dir == Path("k")


def test_the_manual_lists_every_setting_as_it_is(repo_root: Path):
    text = (repo_root / "docs" / "configuration.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| `(\w+)` \| `(\w+)` \|(.*?)\| (.*?) \| `?(.*?)`? \| (.*) \|$", text)
    listed = {row[0]: row[1:] for row in rows}
    assert list(listed) == list(fields())
    for name, field in fields().items():
        variable, _, its_unit, default, meaning = listed[name]
        assert variable == f"CAIRN_{name.upper()}"
        assert its_unit == unit(field)
        assert default == ("none" if field.default is None else str(field.default))
        assert meaning == field.description


@pytest.mark.parametrize(
    "flags, name, word",
    [
        ({"broker_url": "http://h"}, "broker_url", "scheme is http"),
        ({"broker_url": "h:1883"}, "broker_url", "scheme"),
        ({"broker_url": "mqtt://"}, "broker_url", "no host"),
        ({"broker_url": "mqtt://h:99999"}, "broker_url", "no URL"),
        ({"broker_url": "mqtt://h:0"}, "broker_url", "only a port"),
        ({"broker_url": "mqtt://h/topic"}, "broker_url", "only a port"),
        ({"broker_url": "mqtt://me:hunter2@h"}, "broker_url", "broker_password_file"),
        ({"broker_url": "mqtt://me@h"}, "broker_url", "broker_user"),
        ({"mqtt_port": 65_536}, "mqtt_port", "65535"),
        ({"mqtt_port": -1}, "mqtt_port", "0"),
        ({"clock": "fast"}, "clock", "'real' or 'driven'"),
        ({"queue_messages_max": 1}, "queue_messages_max", "64"),
        ({"mqtt_tls_cert": Path("c")}, "mqtt_tls_cert", "no use"),
        ({"mqtt_tls_key": Path("k")}, "mqtt_tls_key", "no use"),
        ({"broker_password_file": Path("p")}, "broker_password_file", "no use"),
        ({"broker_ca_file": Path("p")}, "broker_ca_file", "no use"),
        ({"entropy_external": "dice"}, "entropy_external", "'none' or 'drand'"),
        ({"entropy_external_url": "ftp://h/x"}, "entropy_external_url", "http"),
        ({"entropy_external_url": "https://me:hunter2@h/"}, "entropy_external_url", "http"),
        ({"entropy_external": "drand", "clock": "driven"}, "entropy_external", "another one"),
    ],
)
def test_values_that_do_not_fit(flags, name, word):
    fault = fault_of(flags, None, {})
    assert fault.code == Code.CONFIG_INVALID
    assert name in fault.what
    assert word in fault.why + fault.do
    assert "hunter2" not in str(fault)


@pytest.mark.parametrize("url", ["mqtt://broker", "mqtts://10.0.0.1:8883", "mqtt://[::1]:1883/"])
def test_broker_urls(url):
    assert load({"broker_url": url}, None, {}).settings.broker_url == url


def test_the_manual_names_the_flag_of_every_setting_that_has_one(repo_root: Path):
    text = (repo_root / "docs" / "configuration.md").read_text("utf-8")
    listed = dict(re.findall(r"(?m)^\| `(\w+)` \| `CAIRN_\w+` \| `?(.*?)`? ?\|", text))
    flags = {
        parameter.name: parameter.opts[0]
        for parameter in run.params
        if parameter.name in fields() or parameter.name == "data_dir"
    }
    assert {name: flag for name, flag in listed.items() if flag} == flags
    assert set(flags) >= {"mqtt_port", "http_port", "clock", "broker_url", "data_dir"}
