"""Where settings come from: the file cairn.toml, under CAIRN_* of the environment, under flags.

Nothing here can change a verdict, a score or a payout: those parameters are rules
(spec/rules). Key files are named here; their contents never are. What can be set is listed in
`settings_fields.py`.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from gateway.shell.errors import Code, OperatorFault
from gateway.shell.settings_fields import ENV_PREFIX, Settings

DEFAULT_FILE = Path("cairn.toml")
# Read by the command line itself, not a setting: it says where the settings are.
CONFIG_VARIABLE = "CAIRN_CONFIG"
# Of the test suites; a gateway that runs under them must not stumble over them.
_FOREIGN_VARIABLES = {CONFIG_VARIABLE, "CAIRN_NIGHTLY", "CAIRN_SHARED_DATA"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the source of each value: `flag`, `env CAIRN_X`, the file, or `default`."""

    settings: Settings
    sources: dict[str, str]

    @property
    def keys_dir(self) -> Path:
        return self.settings.keys_dir or self.settings.data_dir / "keys"


def fields() -> Mapping[str, FieldInfo]:
    """Every setting by name, in the order in which it is documented."""
    return Settings.model_fields


def unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["unit"])


def load(flags: Mapping[str, Any], file: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read all three sources. OperatorFault for an unknown key or a value that does not fit.

    file: None means cairn.toml in the working directory, if there is one. Flags that are None
    were not given. environ is checked for unknown names; values come from the process.
    """
    path = file if file is not None else DEFAULT_FILE
    from_file = _read(path, required=file is not None)
    _refuse_unknown(from_file, f"the file {path}", "")
    given = {name[len(ENV_PREFIX) :].lower(): name for name in _ours(environ)}
    _refuse_unknown(given, "the environment", ENV_PREFIX)
    chosen = {name: value for name, value in flags.items() if value is not None}
    bound = type("Settings", (Settings,), {"model_config": {"toml_file": path}})
    try:
        settings: Settings = bound(**chosen)
    except ValidationError as error:
        raise _invalid(error, _sources(chosen, given, from_file, path)) from error
    _check_together(settings)
    return Loaded(settings, _sources(chosen, given, from_file, path))


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    if not required and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OperatorFault(
            f"The settings file {path} cannot be read.",
            f"{error}.",
            "Name an existing TOML file with --config, or mend that line.",
            Code.CONFIG_UNREADABLE,
        ) from error


def _ours(environ: Mapping[str, str]) -> list[str]:
    return [
        name
        for name in environ
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in _FOREIGN_VARIABLES
    ]


def _refuse_unknown(names: Mapping[str, Any], where: str, prefix: str) -> None:
    for name in names:
        if name in fields():
            continue
        shown = f"{prefix}{name.upper()}" if prefix else name
        near = difflib.get_close_matches(name, list(fields()), n=1)
        nearest = f"{prefix}{near[0].upper()}" if prefix and near else "".join(near)
        raise OperatorFault(
            f"{shown} in {where} is not a setting.",
            "A misspelt setting would be ignored in silence, so unknown ones are refused.",
            f"Did you mean {nearest}?" if near else "See docs/configuration.md for all settings.",
            Code.CONFIG_UNKNOWN,
        )


def _sources(
    chosen: Mapping[str, Any], given: Mapping[str, str], from_file: Mapping[str, Any], path: Path
) -> dict[str, str]:
    sources = {}
    for name in fields():
        if name in chosen:
            sources[name] = "flag"
        elif name in given:
            sources[name] = f"env {given[name]}"
        elif name in from_file:
            sources[name] = f"file {path}"
        else:
            sources[name] = "default"
    return sources


def _invalid(error: ValidationError, sources: Mapping[str, str]) -> OperatorFault:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    # Never the value itself: it may hold a password, which is why it was refused.
    why = first["msg"].removeprefix("Value error, ")
    return OperatorFault(
        f"The setting {name} does not fit.",
        f"{why} (from {sources.get(name, 'an unknown source')}).",
        "See docs/configuration.md for what it may be.",
        Code.CONFIG_INVALID,
    )


def _check_together(settings: Settings) -> None:
    """Refuse settings that fit one by one and not together."""
    for one, other in (
        ("mqtt_tls_cert", "mqtt_tls_key"),
        ("mqtt_tls_key", "mqtt_tls_cert"),
        ("broker_password_file", "broker_url"),
        ("broker_ca_file", "broker_url"),
    ):
        if getattr(settings, one) is not None and getattr(settings, other) is None:
            raise OperatorFault(
                f"The setting {one} is there without {other}.",
                "One is of no use without the other.",
                f"Set {other} too, or remove {one}.",
                Code.CONFIG_INVALID,
            )
    if settings.entropy_external != "none" and settings.clock == "driven":
        raise OperatorFault(
            f"The setting entropy_external is {settings.entropy_external} with a driven clock.",
            "What comes from outside would make each run of a driven network another one.",
            "Leave entropy_external = none, or clock = real.",
            Code.CONFIG_INVALID,
        )


def environment() -> Mapping[str, str]:
    return os.environ
