"""`cairn board`: a board on a cable. Each verb's module is imported when it is asked for."""

from collections import UserDict
from collections.abc import Iterator
from importlib import import_module

import click

# In the order in which a newcomer needs them.
_VERBS = {
    "flash": "gateway.cli.board_flash",
    "provision": "gateway.cli.board_provision",
    "run": "gateway.cli.board_run",
    "doctor": "gateway.cli.board_doctor",
    "labels": "gateway.cli.board_labels",
    "owner-key": "gateway.cli.board_provision",
    "virtual": "gateway.cli.board_virtual",
}


class _Imported(UserDict[str, click.Command]):
    """The verbs by name, as click and the manual ask for them."""

    def __getitem__(self, name: str) -> click.Command:
        module = import_module(_VERBS[name])
        verb: click.Command = getattr(module, name.replace("-", "_"))
        return verb

    def __contains__(self, name: object) -> bool:
        return name in _VERBS

    def __iter__(self) -> Iterator[str]:
        return iter(_VERBS)

    def __len__(self) -> int:
        return len(_VERBS)


class _InOrder(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, commands=_Imported())
def board() -> None:
    """A board on a cable: flash it, set it up, find out what is wrong with it."""
