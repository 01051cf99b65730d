"""Tells attributes that only their own class uses from those that anybody may use.

The former get the name of their class in front ("Node~_clock"), so that two classes' `_clock`
are two names: then it is known whose method is called, and short names can be used again.
"""

import ast
from collections.abc import Iterable, Iterator

from gateway.device.program import Program
from gateway.device.strip import Function

MARK = "~"


def own_name(name: str) -> str:
    """A name as it was written."""
    return name.rpartition(MARK)[2]


def privatize(program: Program, shared: Iterable[str]) -> None:
    """Rewrite in place. shared: attributes that stand for themselves, whoever uses them."""
    classes = {
        gid: item.node
        for gid, item in program.items.items()
        if isinstance(item.node, ast.ClassDef)
    }
    related = _related(classes)
    own = {gid: list(_of_self(node)) for gid, node in classes.items()}
    owned = {id(attribute) for attributes in own.values() for attribute in attributes}
    public = set(shared)
    nodes: list[ast.AST] = [item.node for item in program.items.values()]
    for statements in program.statements.values():
        nodes += statements
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and id(part) not in owned:
                public.add(part.attr)
    for gid, attributes in own.items():
        if gid in related:
            # What they share keeps its name, which no other class has then.
            continue
        made = set(_made(classes[gid])) | {
            one.attr for one in attributes if isinstance(one.ctx, ast.Store)
        }
        mine = {name for name in made - public if not name.startswith("__")}
        _mark(classes[gid], attributes, mine, gid.split(":")[1])


def _related(classes: dict[str, ast.ClassDef]) -> set[str]:
    """Classes with a base, and those bases: the other may use what one makes."""
    found = set()
    for gid, node in classes.items():
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        if len(bases) != len(node.bases) or any(base in classes for base in bases):
            found |= {gid, *bases}
    return found


def _of_self(node: ast.ClassDef) -> Iterator[ast.Attribute]:
    for method in node.body:
        if not isinstance(method, Function) or not method.args.args:
            continue
        own = method.args.args[0].arg
        for part in ast.walk(method):
            match part:
                case ast.Attribute(value=ast.Name(id=name)) if name == own:
                    yield part


def _made(node: ast.ClassDef) -> Iterator[str]:
    for part in node.body:
        if isinstance(part, Function):
            yield part.name
        elif isinstance(part, ast.Assign):
            yield from (one.id for one in part.targets if isinstance(one, ast.Name))


def _mark(node: ast.ClassDef, attributes: list[ast.Attribute], mine: set[str], own: str) -> None:
    for attribute in attributes:
        if attribute.attr in mine:
            attribute.attr = f"{own}{MARK}{attribute.attr}"
    for part in node.body:
        if isinstance(part, Function) and part.name in mine:
            part.name = f"{own}{MARK}{part.name}"
        elif isinstance(part, ast.Assign):
            for target in part.targets:
                if isinstance(target, ast.Name) and target.id in mine:
                    target.id = f"{own}{MARK}{target.id}"
