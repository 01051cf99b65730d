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
port_option = click.option(
    "--port",
    "board_port",
    default=None,
    metavar="PORT",
    help="Serial port of the board: /dev/ttyUSB0, COM3, rfc2217://HOST:PORT; auto looks for it. "
    "Overrides the setting board_port.",
)


def load_settings(**flags: Any) -> "Loaded":
    """Settings of this run: given flags over the environment over the file."""
    from gateway.shell.settings import environment, load

    root = click.get_current_context().find_root()
    file = root.params.get("config")
    return load(flags, file, environment())


def port_of(board_port: str | None) -> str:
    """The port that was asked for, or that is set."""
    return load_settings(board_port=board_port).settings.board_port
