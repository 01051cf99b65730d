"""Moves what runs rarely out of the resident program, into overlays: modules that are loaded
for a call and forgotten again.

A method in an overlay becomes a function, and its calls name it: `x.method(a)` turns into
`load("m").method(x, a)`, if it is always called and nothing else has its name. Of any other method
a call stays where it was.
"""

import ast
import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.device.private import own_name
from gateway.device.program import Item, Program, ids_in
from gateway.device.strip import Function

LOAD = "cairn.overlays:load"
# What is left of a class without methods.
PLAIN = "cairn.overlays:Plain"
# The resident unit.
RESIDENT = ""


@dataclass
class Layout:
    """units: ids by overlay, in order; left: what was named for an overlay and could not move."""

    units: dict[str, list[str]]
    left: list[str]


def outline(
    program: Program,
    wanted: Mapping[str, str],
    fixed: Iterable[str],
    foreign: Iterable[str],
    mains: Mapping[str, str],
) -> Layout:
    """Divide the program. wanted: overlay by id, "module:name" or "module:Class.method"; fixed:
    ids that stay resident, whoever uses them; foreign: methods that may be somebody else's;
    mains: unit by module of the statements that stand in no definition.
    """
    methods = _Methods(program, set(foreign), {*fixed, *wanted})
    left = [gid for gid in wanted if gid not in program.items and not methods.move(gid)]
    place = {gid: unit for gid, unit in wanted.items() if gid in program.items}
    methods.empty()
    methods.rewrite()
    _refresh(program)
    _sink(program, place, set(fixed), mains)
    _copy_down(program, place, set(fixed), mains)
    units: dict[str, list[str]] = {RESIDENT: []}
    for gid in program.items:
        units.setdefault(place.get(gid, RESIDENT), []).append(gid)
    for unit, gids in units.items():
        for gid in gids:
            _Far(place, unit).visit(program.items[gid].node)
    for module, statements in program.statements.items():
        far = _Far(place, mains.get(module, RESIDENT))
        statements[:] = [far.visit(statement) for statement in statements]
    _refresh(program)
    return Layout(units, left)


def _refresh(program: Program) -> None:
    for item in program.items.values():
        item.refresh()


class _Methods:
    """Methods on their way out of their classes."""

    def __init__(self, program: Program, foreign: set[str], fixed: set[str]) -> None:
        self._program = program
        self._fixed = fixed
        self._foreign = foreign
        self._moved: dict[str, str] = {}
        self._made: dict[str, str] = {}
        # Classes that are gone: their objects are all of one kind.
        self._plain: set[str] = set()
        nodes = [item.node for item in program.items.values()]
        for statements in program.statements.values():
            nodes += statements
        self._nodes = nodes
        self._count()

    def _count(self) -> None:
        """Where names of methods and of classes occur otherwise than in a call."""
        called: set[int] = set()
        self._owners: dict[str, int] = {}
        self._loose: set[str] = set()
        for node in self._nodes:
            for part in ast.walk(node):
                if isinstance(part, ast.Call) and not any(
                    isinstance(one, ast.Starred) for one in part.args
                ):
                    called.add(id(part.func))
                if isinstance(part, ast.ClassDef):
                    for inner in part.body:
                        if isinstance(inner, Function):
                            self._owners[inner.name] = self._owners.get(inner.name, 0) + 1
        for node in self._nodes:
            for part in ast.walk(node):
                match part:
                    case ast.Attribute(attr=name) if id(part) not in called:
                        self._loose.add(name)
                    case ast.Name(id=gid) if ":" in gid and id(part) not in called:
                        self._loose.add(gid)

    def move(self, gid: str) -> bool:
        """Take "module:Class.method" out of its class; False if it cannot be."""
        owner, _, name = gid.rpartition(".")
        item = self._program.items.get(owner)
        if item is None or not isinstance(item.node, ast.ClassDef):
            return False
        method = next(
            (
                one
                for one in item.node.body
                if isinstance(one, Function) and own_name(one.name) == name
            ),
            None,
        )
        if method is None:
            return False
        if name == "__init__":
            if item.node.bases or owner in self._loose or owner in self._fixed:
                return False
            _return_self(method)
            self._made[owner] = gid
        elif method.decorator_list or not self._is_known(method.name):
            return self._hollow(item, method, gid)
        else:
            self._moved[method.name] = gid
        item.node.body.remove(method)
        item.node.body = item.node.body or [ast.Pass()]
        self._add(gid, item.module, method)
        return True

    def empty(self) -> None:
        """Give up the classes of which every method can stand alone: a class takes 170 bytes."""
        for gid, item in list(self._program.items.items()):
            node = item.node
            if not isinstance(node, ast.ClassDef) or node.bases or node.decorator_list:
                continue
            if gid in self._loose or gid in self._fixed:
                continue
            methods = [part for part in node.body if isinstance(part, Function)]
            others = [part for part in node.body if not isinstance(part, Function | ast.Pass)]
            if others or not all(map(self._stands_alone, methods)):
                continue
            for method in methods:
                self.move(f"{gid}.{own_name(method.name)}")
            self._plain.add(gid)
            del self._program.items[gid]

    def _stands_alone(self, method: Function) -> bool:
        if method.name == "__init__":
            return True
        return not method.decorator_list and self._is_known(method.name)

    def _hollow(self, item: Item, method: Function, gid: str) -> bool:
        """Leave a method that may be called by anybody, and nothing in it but a call."""
        arguments = method.args
        if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or len(method.body) < 2:
            return False
        moved = copy.deepcopy(method)
        moved.decorator_list = []
        moved.args.defaults = []
        given: list[ast.expr] = [ast.Name(id=one.arg, ctx=ast.Load()) for one in arguments.args]
        call = ast.Call(func=ast.Name(id=gid, ctx=ast.Load()), args=given, keywords=[])
        # A coroutine is returned, not run: a plain function does for both.
        stub = ast.FunctionDef(
            name=method.name,
            args=arguments,
            body=[ast.Return(value=call)],
            decorator_list=method.decorator_list,
        )
        class_node = item.node
        assert isinstance(class_node, ast.ClassDef)
        class_node.body[class_node.body.index(method)] = stub
        self._add(gid, item.module, moved)
        return True

    def _add(self, gid: str, module: str, method: Function) -> None:
        self._nodes.append(method)
        self._program.items[gid] = Item(gid, module, method)

    def _is_known(self, name: str) -> bool:
        """Whether it is always called, and always this method."""
        if name.startswith("__") or name in self._foreign:
            return False
        return name not in self._loose and self._owners[name] == 1

    def rewrite(self) -> None:
        calls = _Calls(self._moved, self._made, self._plain)
        for item in self._program.items.values():
            calls.visit(item.node)
        for statements in self._program.statements.values():
            for statement in statements:
                calls.visit(statement)


def _return_self(method: Function) -> None:
    name = method.args.args[0].arg
    for part in ast.walk(method):
        if isinstance(part, ast.Return) and part.value is None:
            part.value = ast.Name(id=name, ctx=ast.Load())
    method.body.append(ast.Return(value=ast.Name(id=name, ctx=ast.Load())))


class _Calls(ast.NodeTransformer):
    def __init__(self, moved: Mapping[str, str], made: Mapping[str, str], plain: set[str]) -> None:
        self._moved = moved
        self._made = made
        self._plain = plain

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        match node.func:
            case ast.Attribute(value=owner, attr=name) if name in self._moved:
                node.func = ast.Name(id=self._moved[name], ctx=ast.Load())
                node.args = [owner, *node.args]
            case ast.Name(id=gid) if gid in self._made:
                kind = PLAIN if gid in self._plain else gid
                new = ast.Call(func=ast.Name(id=kind, ctx=ast.Load()), args=[], keywords=[])
                node.func = ast.Name(id=self._made[gid], ctx=ast.Load())
                node.args = [new, *node.args]
            case ast.Name(id=gid) if gid in self._plain:
                node.func = ast.Name(id=PLAIN, ctx=ast.Load())
        return node


def _users(
    program: Program, place: Mapping[str, str], mains: Mapping[str, str]
) -> dict[str, set[str]]:
    """In which units each definition is used."""
    users: dict[str, set[str]] = {}
    for item in program.items.values():
        for ref in item.refs - {item.id}:
            users.setdefault(ref, set()).add(place.get(item.id, RESIDENT))
    for module, statements in program.statements.items():
        for statement in statements:
            for ref in ids_in(statement):
                users.setdefault(ref, set()).add(mains.get(module, RESIDENT))
    return users


def _sink(
    program: Program, place: dict[str, str], fixed: set[str], mains: Mapping[str, str]
) -> None:
    """What only one overlay uses goes there. Classes stay: an instance that lives on would hold
    the whole overlay.
    """
    before = -1
    while before != len(place):
        before = len(place)
        users = _users(program, place, mains)
        for gid, item in program.items.items():
            units = users.get(gid, set())
            if gid in place or gid in fixed or isinstance(item.node, ast.ClassDef):
                continue
            if len(units) == 1 and RESIDENT not in units:
                place[gid] = next(iter(units))


def _copy_down(
    program: Program, place: dict[str, str], fixed: set[str], mains: Mapping[str, str]
) -> None:
    """Functions and constants that only overlays use stand in each of these."""
    while (found := _to_copy(program, place, fixed, mains)) is not None:
        gid, units = found
        item = program.items[gid]
        for unit in sorted(units):
            twin = Item(f"{gid}@{unit}", item.module, copy.deepcopy(item.node))
            program.items[twin.id] = twin
            place[twin.id] = unit
            twin.refresh()
            for other in program.items.values():
                if place.get(other.id, RESIDENT) == unit and gid in other.refs:
                    _Point(gid, twin.id).visit(other.node)
                    other.refresh()
        del program.items[gid]


def _to_copy(
    program: Program, place: Mapping[str, str], fixed: set[str], mains: Mapping[str, str]
) -> tuple[str, set[str]] | None:
    users = _users(program, place, mains)
    for gid, item in program.items.items():
        units = users.get(gid, set())
        if gid in place or gid in fixed or RESIDENT in units or not units:
            continue
        if isinstance(item.node, Function) or _is_constant(item.node):
            return gid, units
    return None


def _is_constant(node: ast.stmt) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name()], value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name()], value=ast.Tuple(elts=elements)):
            return all(isinstance(one, ast.Constant) for one in elements)
    return False


class _Point(ast.NodeVisitor):
    def __init__(self, old: str, new: str) -> None:
        self._old = old
        self._new = new

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == self._old:
            node.id = self._new


class _Far(ast.NodeTransformer):
    """Names of another overlay become `load(overlay).name`."""

    def __init__(self, place: Mapping[str, str], unit: str) -> None:
        self._place = place
        self._unit = unit

    def visit_Name(self, node: ast.Name) -> ast.expr:
        unit = self._place.get(node.id, RESIDENT)
        if unit in (RESIDENT, self._unit) or not isinstance(node.ctx, ast.Load):
            return node
        load = ast.Call(
            func=ast.Name(id=LOAD, ctx=ast.Load()), args=[ast.Constant(unit)], keywords=[]
        )
        return ast.Attribute(value=load, attr=node.id, ctx=ast.Load())
