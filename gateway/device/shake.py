"""Leaves out what nothing can reach: functions, classes, methods, names.

A method stays if its name is mentioned anywhere in what stays, whoever's method is meant.
"""

import ast
from collections.abc import Iterable, Iterator

from gateway.device.program import Program, ids_in
from gateway.device.strip import Function


def shake(program: Program, roots: Iterable[str], names: Iterable[str]) -> None:
    """Keep what roots (ids) reach. names: attributes that somebody outside may use."""
    reached: set[str] = set()
    mentioned = set(names)
    waiting = set(roots)
    for statements in program.statements.values():
        for statement in statements:
            waiting |= set(ids_in(statement))
            mentioned |= set(attributes_in(statement))
    parts: dict[int, tuple[set[str], set[str]]] = {}
    before = (-1, -1)
    while before != (len(reached), len(mentioned)):
        before = (len(reached), len(mentioned))
        while waiting:
            gid = waiting.pop()
            if gid in program.items:
                reached.add(gid)
        for gid in reached:
            for part in _parts(program.items[gid].node, mentioned):
                if id(part) not in parts:
                    parts[id(part)] = (set(ids_in(part)), set(attributes_in(part)))
                waiting |= parts[id(part)][0] - reached
                mentioned |= parts[id(part)][1]
    for gid in list(program.items):
        if gid not in reached:
            del program.items[gid]
            continue
        item = program.items[gid]
        if isinstance(item.node, ast.ClassDef):
            item.node.body = [part for part in item.node.body if _stays(part, mentioned)] or [
                ast.Pass()
            ]
        item.refresh()


def attributes_in(node: ast.AST) -> Iterator[str]:
    """Names of attributes that are used, and texts that may be one (getattr)."""
    for part in ast.walk(node):
        match part:
            case ast.Attribute(attr=name, ctx=ast.Load()):
                yield name
            case ast.Constant(value=str(name)) if name.isidentifier():
                yield name


def _parts(node: ast.stmt, mentioned: set[str]) -> Iterator[ast.AST]:
    if not isinstance(node, ast.ClassDef):
        yield node
        return
    yield from node.bases
    for part in node.body:
        if _stays(part, mentioned):
            yield part


def _stays(part: ast.stmt, mentioned: set[str]) -> bool:
    if isinstance(part, Function):
        return part.name in mentioned or part.name.startswith("__")
    return True
