"""What the board's program is made of once its modules are one: definitions with ids.

An id is "module:name", which no local name can be; foreign modules stand under their own name
("struct:", "hashlib:sha256").
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.device.strip import Function

PACKAGE = "cairn"
# The one module that does more than define.
MAIN = "main"
# Loads a module for a moment (firmware/cairn/overlay.py).
BORROW = f"{PACKAGE}.overlay:borrow"


class Unlinkable(Exception):  # noqa: N818 - an operator fault is made of it
    """Source that the pass does not understand, and why."""


@dataclass
class Item:
    """One definition at the top of a module; refs: ids that it mentions, early: those that must
    be there when it is made.
    """

    id: str
    module: str
    node: ast.stmt
    refs: set[str] = field(default_factory=set)
    early: set[str] = field(default_factory=set)

    def refresh(self) -> None:
        """Look again at what the node mentions."""
        self.refs = set(ids_in(self.node))
        self.early = {gid for part in _made_of(self.node) for gid in ids_in(part)}


@dataclass
class Program:
    """items: in the order in which they must run."""

    items: dict[str, Item]
    statements: dict[str, list[ast.stmt]]


def module_of(name: str) -> str:
    """Module name of a file: "cairn/boards/base.py" -> "cairn.boards.base"."""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def arguments_of(arguments: ast.arguments) -> list[str]:
    """Names of all parameters."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return [one.arg for one in every]


def locals_of(node: Function) -> set[str]:
    """Names that are local in a function: parameters and what it binds."""
    found = set(arguments_of(node.args))
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        part = waiting.pop()
        match part:
            case ast.Global() | ast.Nonlocal():
                raise Unlinkable(f"{node.name} says {ast.unparse(part)}")
            case ast.Name(ctx=ast.Store() | ast.Del()):
                found.add(part.id)
            case ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.Import() | ast.ImportFrom():
                found |= {(alias.asname or alias.name).split(".")[0] for alias in part.names}
        if isinstance(part, Function | ast.ClassDef):
            found.add(part.name)
        elif isinstance(part, ast.Lambda):
            pass
        elif isinstance(part, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            # Only its first source belongs to the function; stores in it are its own.
            waiting.append(part.generators[0].iter)
        else:
            waiting += ast.iter_child_nodes(part)
    return found


def ids_in(node: ast.AST) -> Iterator[str]:
    """Ids that a definition mentions."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and ":" in part.id:
            yield part.id


def _made_of(node: ast.stmt) -> Iterator[ast.AST]:
    """What is evaluated when a definition is made: not the bodies of functions."""
    if isinstance(node, Function):
        yield from node.decorator_list
        yield from node.args.defaults
        yield from (one for one in node.args.kw_defaults if one is not None)
    elif isinstance(node, ast.ClassDef):
        yield from node.bases
        for part in node.body:
            yield from _made_of(part)
    else:
        yield node
