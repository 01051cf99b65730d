"""Options that several verbs share, and the settings behind them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.shell.settings import Loaded

Verb = Callable[..., Any]

PATH = click.Path(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
data_option = click.option(
    "--data",
    "data_dir",
    type=PATH,
    default=None,
    help="Data directory of the network. Overrides the setting data_dir.",
)


def load_settings(**flags: Any) -> "Loaded":
    """Settings of this run: given flags over the environment over the file."""
    from gateway.shell.settings import environment, load

    root = click.get_current_context().find_root()
    file = root.params.get("config")
    return load(flags, file, environment())
