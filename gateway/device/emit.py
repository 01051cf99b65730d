"""Writes a renamed program as the modules of an image."""

import ast
from collections.abc import Iterable, Mapping

from gateway.device.outline import LOAD
from gateway.device.program import Item, Program
from gateway.device.rename import Names
from gateway.device.strip import Function


def module_text(
    program: Program, names: Names, gids: Iterable[str], home: str, last: Iterable[ast.stmt] = ()
) -> str:
    """One module with these definitions, and statements that run behind them. home: the module
    from which it takes what is not its own.
    """
    own = _in_order(program, list(gids))
    # Renamed by now: what a definition mentions was written down before.
    refs = {ref for gid in own for ref in program.items[gid].refs}
    last = list(last)
    refs |= {ref for statement in last for ref in names.mentioned.get(id(statement), ())}
    wanted = sorted(refs - set(own))
    lines = _foreign(names, [ref for ref in wanted if ref not in program.items])
    ours = [names.ids[ref] for ref in wanted if ref in program.items]
    if ours:
        lines.append(f"from {home} import {', '.join(ours)}")
    for gid in own:
        node = program.items[gid].node
        if isinstance(node, Function | ast.ClassDef):
            node.name = names.ids[gid]
        lines.append(ast.unparse(ast.fix_missing_locations(node)))
    lines += [ast.unparse(ast.fix_missing_locations(statement)) for statement in last]
    return "\n".join(lines) + "\n"


def _in_order(program: Program, gids: list[str]) -> list[str]:
    """What others need when they are defined stands before them."""
    inside = set(gids)
    ordered: dict[str, None] = {}

    def place(gid: str) -> None:
        if gid in ordered or gid not in inside:
            return
        for ref in program.items[gid].early:
            if ref != gid:
                place(ref)
        ordered[gid] = None

    # What is computed may call any function, and that function others.
    for gid in sorted(gids, key=lambda gid: _is_computed(program.items[gid].node)):
        place(gid)
    return list(ordered)


def _is_computed(node: ast.stmt) -> bool:
    if isinstance(node, Function | ast.ClassDef):
        return False
    return any(isinstance(part, ast.Call) for part in ast.walk(node))


def door_text(
    names: Names,
    units: Mapping[str, list[str]],
    members: Mapping[str, str],
    definitions: Mapping[str, Item],
    home: str,
) -> str:
    """A module of an old name with some of its old members, wherever they are now."""
    place = {gid: unit for unit, gids in units.items() for gid in gids}
    lines = []
    for name, gid in members.items():
        node = definitions[gid].node
        if gid not in place and isinstance(node, ast.Assign):
            lines.append(f"{name} = {ast.unparse(node.value)}")
        elif place.get(gid):
            # Held here, it would hold its whole overlay.
            load = f"__import__({home!r}).{names.ids[LOAD]}({place[gid]!r})"
            lines.append(f"def {name}(*given):\n    return {load}.{names.ids[gid]}(*given)")
        else:
            lines.append(f"from {home} import {names.ids[gid]} as {name}")
    return "\n".join(lines) + "\n"


def _foreign(names: Names, refs: Iterable[str]) -> list[str]:
    lines = []
    for ref in refs:
        module, member = ref.split(":")
        new = names.ids[ref]
        lines.append(
            f"from {module} import {member} as {new}" if member else f"import {module} as {new}"
        )
    return lines
