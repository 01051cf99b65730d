"""`cairn board`: a board on a cable. Each verb's module is imported when it is asked for."""

from importlib import import_module

import click

_VERBS = {
    "flash": "gateway.cli.board_flash",
    "provision": "gateway.cli.board_provision",
    "run": "gateway.cli.board_run",
    "doctor": "gateway.cli.board_doctor",
    "labels": "gateway.cli.board_labels",
    "owner-key": "gateway.cli.board_provision",
    "virtual": "gateway.cli.board_virtual",
}


class _Verbs(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        # In the order in which a newcomer needs them.
        return list(_VERBS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = import_module(_VERBS[cmd_name])
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command


@click.group(cls=_Verbs)
def board() -> None:
    """A board on a cable: flash it, set it up, find out what is wrong with it."""
