"""Gives every name of a program a short one, and says which name became which.

Attributes share one table, since nobody knows whose an attribute is; the names of what stands
outside (the interpreter's own objects, a board's buses) are left alone everywhere.
"""

import ast
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.device.calls import Kept
from gateway.device.names import builtin_attributes, builtin_names, short_names
from gateway.device.private import MARK
from gateway.device.program import Program, arguments_of, ids_in, locals_of
from gateway.device.strip import Function


@dataclass
class Names:
    """New name by id, and by attribute."""

    ids: dict[str, str]
    attributes: dict[str, str]
    # Ids that a loose statement mentioned, by its identity.
    mentioned: dict[int, list[str]] = field(default_factory=dict)


def rename(
    program: Program, *, pinned: Iterable[str], kept: Kept, units: Mapping[str, list[str]]
) -> Names:
    """Rename in place. pinned: attributes that keep their names; kept: functions whose
    parameters do; units: ids by overlay.
    """
    unchanged = set(pinned) | builtin_attributes() | kept.names
    nodes = [item.node for item in program.items.values()]
    for statements in program.statements.values():
        nodes += statements
    names = Names(_new_ids(program, nodes, units), _new_attributes(nodes, unchanged))
    for item in program.items.values():
        _Rename(names, kept).visit(item.node)
    for statements in program.statements.values():
        for statement in statements:
            names.mentioned[id(statement)] = list(ids_in(statement))
            _Rename(names, kept).visit(statement)
    return names


def _new_attributes(nodes: list[ast.stmt], unchanged: set[str]) -> dict[str, str]:
    ours = sorted({name for node in nodes for name in _made(node)})
    ours = [name for name in ours if name not in unchanged and not name.startswith("__")]
    used = {
        part.attr for node in nodes for part in ast.walk(node) if isinstance(part, ast.Attribute)
    }
    fresh = short_names((used - set(ours)) | unchanged, attributes=True)
    shared = [name for name in ours if MARK not in name]
    found = dict(zip(shared, fresh, strict=False))
    # Each class counts its own anew.
    private: dict[str, list[str]] = {}
    for name in ours:
        if MARK in name:
            private.setdefault(name.split(MARK)[0], []).append(name)
    again = list(itertools.islice(fresh, max(map(len, private.values()), default=0)))
    for members in private.values():
        found |= zip(members, again, strict=False)
    return found


def _new_ids(
    program: Program, nodes: list[ast.stmt], units: Mapping[str, list[str]]
) -> dict[str, str]:
    fresh = short_names(builtin_names(), attributes=False)
    overlaid = {gid for unit, gids in units.items() if unit for gid in gids}
    every: dict[str, None] = dict.fromkeys(gid for gid in program.items if gid not in overlaid)
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and ":" in part.id and part.id not in overlaid:
                every[part.id] = None
    found = dict(zip(every, fresh, strict=False))
    # An overlay sees the resident names and its own, and none of another overlay.
    longest = max((len(gids) for unit, gids in units.items() if unit), default=0)
    again = list(itertools.islice(fresh, longest))
    for unit, gids in units.items():
        if unit:
            found |= zip(gids, again, strict=False)
    return found


def _made(node: ast.AST) -> Iterator[str]:
    """Attribute names that a definition brings into being."""
    for part in ast.walk(node):
        match part:
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.ClassDef(body=body):
                for inner in body:
                    if isinstance(inner, Function):
                        yield inner.name
                    elif isinstance(inner, ast.Assign):
                        yield from (one.id for one in inner.targets if isinstance(one, ast.Name))


class _Rename(ast.NodeVisitor):
    def __init__(self, names: Names, kept: Kept) -> None:
        self._names = names
        self._kept = kept
        # New names of the locals of the functions around, and how many there are.
        self._locals: list[dict[str, str]] = []
        self._in_class = False

    def visit_Name(self, node: ast.Name) -> None:
        if ":" in node.id:
            node.id = self._names.ids[node.id]
            return
        for scope in reversed(self._locals):
            if node.id in scope:
                node.id = scope[node.id]
                return
        if self._in_class and isinstance(node.ctx, ast.Store):
            node.id = self._names.attributes.get(node.id, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if ":" in node.attr:
            # Of an overlay (outline.py).
            node.attr = self._names.ids[node.attr]
            self.visit(node.value)
            return
        foreign = isinstance(node.value, ast.Name) and node.value.id.endswith(":")
        self.visit(node.value)
        if not foreign:
            node.attr = self._names.attributes.get(node.attr, node.attr)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: Function) -> None:
        if self._locals:
            node.name = self._locals[-1].get(node.name, node.name)
        elif self._in_class:
            node.name = self._names.attributes.get(node.name, node.name)
        for one in [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]:
            if one is not None:
                self.visit(one)
        parameters = arguments_of(node.args)
        fixed = set(parameters) if id(node) in self._kept.functions else self._kept.names
        self._enter(parameters, sorted(locals_of(node)), fixed)
        self._rename_arguments(node.args)
        for part in node.body:
            self.visit(part)
        self._locals.pop()

    def _enter(self, first: list[str], more: Iterable[str], fixed: Iterable[str] = ()) -> None:
        taken = sum(map(len, self._locals))
        names = dict.fromkeys([*first, *more])
        self._locals.append(
            {
                name: name if name in fixed and name in first else f"_{taken + place}"
                for place, name in enumerate(names)
            }
        )

    def _rename_arguments(self, arguments: ast.arguments) -> None:
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
        for one in every:
            one.arg = self._locals[-1][one.arg]

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for one in [*node.args.defaults, *node.args.kw_defaults]:
            if one is not None:
                self.visit(one)
        self._enter(arguments_of(node.args), ())
        self._rename_arguments(node.args)
        self.visit(node.body)
        self._locals.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            self.visit(base)
        self._in_class = True
        for part in node.body:
            self.visit(part)
        self._in_class = False

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name and self._locals:
            node.name = self._locals[-1].get(node.name, node.name)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self._aliases(node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._aliases(node.names)

    def _aliases(self, aliases: list[ast.alias]) -> None:
        for alias in aliases:
            local = (alias.asname or alias.name).split(".")[0]
            if self._locals and local in self._locals[-1]:
                alias.asname = self._locals[-1][local]

    def _comprehension(self, node: ast.expr) -> None:
        generators: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]
        self.visit(generators[0].iter)
        names = [
            part.id
            for generator in generators
            for part in ast.walk(generator.target)
            if isinstance(part, ast.Name)
        ]
        self._enter([], names)
        for place, generator in enumerate(generators):
            self.visit(generator.target)
            if place:
                self.visit(generator.iter)
            for test in generator.ifs:
                self.visit(test)
        for name in ("elt", "key", "value"):
            if hasattr(node, name):
                self.visit(getattr(node, name))
        self._locals.pop()

    visit_ListComp = visit_SetComp = _comprehension  # noqa: N815 - what ast calls
    visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815
