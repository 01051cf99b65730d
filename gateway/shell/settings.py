"""Settings: the file cairn.toml, under CAIRN_* of the environment, under flags.

Nothing here can change a verdict, a score or a payout: those parameters are rules
(spec/rules). Key files are named here; their contents never are.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gateway.shell.errors import Code, OperatorFault

ENV_PREFIX = "CAIRN_"
DEFAULT_FILE = Path("cairn.toml")
# Read by the command line itself, not a setting: it says where the settings are.
CONFIG_VARIABLE = "CAIRN_CONFIG"
# Of the test suites; a gateway that runs under them must not stumble over them.
_FOREIGN_VARIABLES = {CONFIG_VARIABLE, "CAIRN_NIGHTLY", "CAIRN_SHARED_DATA"}


class Settings(BaseSettings):
    """What an operator may choose. Descriptions and units appear in docs/configuration.md."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    data_dir: Path = Field(
        default=Path("cairn-data"),
        description="Directory of one network: its genesis, key statements, keys and database.",
        json_schema_extra={"unit": "path"},
    )
    keys_dir: Path | None = Field(
        default=None,
        description="Directory of the key files. Empty: `keys` inside the data directory.",
        json_schema_extra={"unit": "path"},
    )
    admission_policy: Literal["open", "approved"] = Field(
        default="open",
        description="`open` registers a station at its first hello; `approved` waits for the "
        "operator's approve event.",
        json_schema_extra={"unit": "word"},
    )
    store_busy_timeout_ms: int = Field(
        default=5_000,
        ge=0,
        le=600_000,
        description="How long to wait for another process to release the database.",
        json_schema_extra={"unit": "ms"},
    )
    refused_samples_max: int = Field(
        default=16,
        ge=1,
        le=10_000,
        description="How many refused messages are kept per verdict, for inspection.",
        json_schema_extra={"unit": "messages"},
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there is no .env
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = TomlConfigSettingsSource(settings_cls, settings_cls.model_config.get("toml_file"))
        return init_settings, env_settings, file


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
    return OperatorFault(
        f"The setting {name} does not fit.",
        f"{first['msg']} (from {sources.get(name, 'an unknown source')}).",
        "See docs/configuration.md for what it may be.",
        Code.CONFIG_INVALID,
    )


def environment() -> Mapping[str, str]:
    return os.environ
