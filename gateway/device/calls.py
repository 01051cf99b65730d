"""Turns keyword arguments into positional ones where it is known who is called.

A board holds every keyword's name, and three bytes of code for each use.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.device.program import Program, arguments_of
from gateway.device.strip import Function


@dataclass(frozen=True)
class Signature:
    """names: of all parameters in order, without self; defaults: by name."""

    names: tuple[str, ...]
    defaults: dict[str, ast.expr]


class Callables:
    """Every function, method and class of a program, by the name that a call may use."""

    def __init__(self, program: Program, foreign: set[str]) -> None:
        self._by_id: dict[str, Function] = {}
        self._by_attribute: dict[str, list[Function]] = {}
        self._in_class: dict[str, list[Function]] = {}
        self._methods: set[int] = set()
        self._foreign = foreign
        stored = _stored_attributes(program)
        for item in program.items.values():
            if isinstance(item.node, Function):
                self._by_id[item.id] = item.node
            elif isinstance(item.node, ast.ClassDef):
                self._add_class(item.id, item.node)
        # A callback kept under a method's name is somebody else's.
        for name in stored:
            self._by_attribute.pop(name, None)

    def _add_class(self, gid: str, node: ast.ClassDef) -> None:
        for part in node.body:
            if not isinstance(part, Function):
                continue
            self._in_class.setdefault(gid, []).append(part)
            if not any(
                isinstance(one, ast.Name) and one.id == "staticmethod"
                for one in part.decorator_list
            ):
                self._methods.add(id(part))
            if part.name == "__init__":
                self._by_id[gid] = part
            else:
                self._by_attribute.setdefault(part.name, []).append(part)

    def called(self, node: ast.Call) -> list[Function]:
        """Whom a call may mean; []: not known."""
        match node.func:
            case ast.Name(id=gid) if gid in self._by_id:
                return [self._by_id[gid]]
            case ast.Attribute(attr=name) if name not in self._foreign:
                return self._by_attribute.get(name, [])
        return []

    def signature(self, node: Function) -> Signature | None:
        """Its parameters; None if it takes any number of them."""
        arguments = node.args
        if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
            return None
        if not _can_flatten(arguments):
            return None
        names = [one.arg for one in arguments.args]
        defaults: dict[str, ast.expr] = {}
        if arguments.defaults:
            defaults = dict(
                zip(names[-len(arguments.defaults) :], arguments.defaults, strict=True)
            )
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            names.append(argument.arg)
            if default is not None:
                defaults[argument.arg] = default
        if id(node) in self._methods:
            names = names[1:]
        return Signature(tuple(names), defaults)

    def of(self, gids: Iterable[str]) -> Iterator[int]:
        """Identities of functions, and of the methods of classes."""
        for gid in gids:
            if gid in self._by_id:
                yield id(self._by_id[gid])
            for method in self._in_class.get(gid, ()):
                yield id(method)

    def every(self) -> list[Function]:
        return [
            *self._by_id.values(),
            *(one for ones in self._by_attribute.values() for one in ones),
        ]


@dataclass
class Kept:
    """What must keep its parameters' names: functions by identity, and parameters of any."""

    functions: set[int]
    names: set[str]


def positional(program: Program, foreign: set[str], outside: Iterable[str]) -> Kept:
    """Rewrite the calls. foreign: attribute names that may be somebody else's; outside: ids that
    are called from elsewhere too, by whatever keywords.
    """
    callables = Callables(program, foreign)
    nodes = [item.node for item in program.items.values()]
    for statements in program.statements.values():
        nodes += statements
    calls = [part for node in nodes for part in ast.walk(node) if isinstance(part, ast.Call)]
    kept = Kept(set(callables.of(outside)), set())
    before = (-1, -1)
    while before != (len(kept.functions), len(kept.names)):
        before = (len(kept.functions), len(kept.names))
        for call in calls:
            if _arguments(call, callables, kept) is None:
                called = callables.called(call)
                kept.functions |= set(map(id, called))
                if not called:
                    kept.names |= {keyword.arg for keyword in call.keywords if keyword.arg}
    for call in calls:
        arguments = _arguments(call, callables, kept)
        if arguments is not None:
            call.args, call.keywords = arguments, []
    for function in callables.every():
        if not _is_kept(function, kept):
            _flatten(function.args)
    return kept


def _arguments(call: ast.Call, callables: Callables, kept: Kept) -> list[ast.expr] | None:
    """The call's arguments by position; None if its keywords must stay."""
    if not call.keywords:
        return call.args
    called = callables.called(call)
    signatures = [callables.signature(function) for function in called]
    first = signatures[0] if signatures else None
    if first is None or any(_is_kept(function, kept) for function in called):
        return None
    if any(isinstance(one, ast.Starred) for one in call.args):
        return None
    if not all(one and one.names == first.names for one in signatures):
        return None
    return _in_order(call, first)


def _is_kept(function: Function, kept: Kept) -> bool:
    return id(function) in kept.functions or bool(kept.names & set(arguments_of(function.args)))


def _in_order(node: ast.Call, signature: Signature) -> list[ast.expr] | None:
    """The call's arguments by position; None if one between would have to be made up."""
    given: dict[str, ast.expr] = dict(zip(signature.names, node.args, strict=False))
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg not in signature.names:
            return None
        given[keyword.arg] = keyword.value
    # Evaluated in another order they might differ, unless at most one can have an effect.
    written = [*signature.names[: len(node.args)], *(k.arg for k in node.keywords if k.arg)]
    ordered = [name for name in signature.names if name in given]
    if written != ordered and sum(not _is_plain(one) for one in given.values()) > 1:
        return None
    last = max(signature.names.index(name) for name in given)
    arguments = []
    for name in signature.names[: last + 1]:
        value = given.get(name, signature.defaults.get(name))
        if value is None or (name not in given and not _is_plain(value)):
            return None
        arguments.append(value)
    return arguments


def _is_plain(node: ast.expr) -> bool:
    """Whether it makes no difference when it is evaluated, or whether."""
    if isinstance(node, ast.Tuple):
        return all(_is_plain(one) for one in node.elts)
    if isinstance(node, ast.Attribute):
        return _is_plain(node.value)
    return isinstance(node, ast.Constant | ast.Name)


def _can_flatten(arguments: ast.arguments) -> bool:
    """Whether no parameter without a default would stand behind one with."""
    absent = [True] * (len(arguments.args) - len(arguments.defaults))
    absent += [False] * len(arguments.defaults)
    absent += [default is None for default in arguments.kw_defaults]
    return absent == sorted(absent, reverse=True)


def _flatten(arguments: ast.arguments) -> None:
    if arguments.kwonlyargs and _can_flatten(arguments):
        arguments.args += arguments.kwonlyargs
        arguments.defaults += [one for one in arguments.kw_defaults if one is not None]
        arguments.kwonlyargs, arguments.kw_defaults = [], []


def _stored_attributes(program: Program) -> set[str]:
    return {
        part.attr
        for item in program.items.values()
        for part in ast.walk(item.node)
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
    }
