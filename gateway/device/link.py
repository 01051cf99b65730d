"""Makes one program of the board's modules: whose name is whose.

Import statements are gone afterwards: a name of another module has become that module's id.
"""

import ast
from collections.abc import Iterator, Mapping

from gateway.device.program import MAIN, PACKAGE, Item, Program, Unlinkable, module_of
from gateway.device.resolve import Resolver
from gateway.device.strip import strip

# Modules in machine code: who imports one has another way where there is none.
NATIVE = "_viper"


def link(texts: Mapping[str, str], kept: frozenset[str] = frozenset()) -> Program:
    """Read the modules ("cairn/node.py" -> text). kept: modules that stay on their own, and are
    imported as before.
    """
    trees = {module_of(name): strip(ast.parse(text, name)) for name, text in texts.items()}
    linker = _Linker(trees, kept)
    for module in sorted(trees):
        missing = linker.missing(module)
        if not missing:
            linker.add(module)
        elif not all(name.endswith(NATIVE) for name in missing):
            raise Unlinkable(f"{module} needs {', '.join(sorted(missing))}")
    return Program(linker.items, linker.statements)


class _Linker:
    def __init__(self, trees: Mapping[str, ast.Module], kept: frozenset[str]) -> None:
        self._trees = trees
        self.kept = kept
        self._tops: dict[str, dict[str, str]] = {}
        self._under_way: set[str] = set()
        self.items: dict[str, Item] = {}
        self.statements: dict[str, list[ast.stmt]] = {}

    def add(self, module: str) -> dict[str, str]:
        """Link a module, those it imports first; its global names and their ids."""
        if module in self._tops:
            return self._tops[module]
        if module in self._under_way:
            raise Unlinkable(f"{module} imports itself")
        self._under_way.add(module)
        top: dict[str, str] = {}
        body = list(self._definitions(module, top, self._trees[module].body))
        for node in body:
            for name in _defined(node):
                top[name] = f"{module}:{name}"
        self._tops[module] = top
        loose: list[ast.stmt] = []
        for node in body:
            names = _defined(node)
            is_check = _is_self_check(node)
            resolved = Resolver(self, module, top).statement(node)
            if not names:
                loose += [] if is_check else [resolved]
                continue
            if len(names) > 1:
                raise Unlinkable(f"{module}: one statement defines {', '.join(names)}")
            gid = f"{module}:{names[0]}"
            if gid in self.items:
                raise Unlinkable(f"{gid} is defined twice")
            self.items[gid] = Item(gid, module, resolved)
            self.items[gid].refresh()
        if loose:
            if module != MAIN:
                raise Unlinkable(f"{module} does more than define: {ast.unparse(loose[0])}")
            self.statements[module] = loose
        return top

    def _definitions(
        self, module: str, top: dict[str, str], body: list[ast.stmt]
    ) -> Iterator[ast.stmt]:
        """Statements that are no imports; imports go into top."""
        for node in body:
            match node:
                case ast.Import() | ast.ImportFrom():
                    top.update(self.imported(module, node))
                case ast.Try() if all(
                    isinstance(part, ast.Import | ast.ImportFrom) for part in node.body
                ):
                    yield from self._definitions(module, top, self.chosen(module, node))
                case ast.Pass():
                    pass
                case ast.If() if all(isinstance(part, ast.ImportFrom) for part in node.body):
                    # What to take on a machine that the image is not for.
                    pass
                case _:
                    yield node

    def chosen(self, module: str, node: ast.Try) -> list[ast.stmt]:
        """A try around imports is decided here: a module is in the image, or it is not."""
        if node.orelse or node.finalbody or len(node.handlers) != 1:
            raise Unlinkable(f"{module}: a try around imports is more than try and except")
        for part in node.body:
            if isinstance(part, ast.ImportFrom) and not all(
                not self.missing(inner) for inner in self._modules_of(module, part)
            ):
                return node.handlers[0].body
        return node.body

    def imported(self, module: str, node: ast.Import | ast.ImportFrom) -> dict[str, str]:
        """Local names that an import makes, and what each stands for."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == PACKAGE:
                    raise Unlinkable(f"{module}: import {alias.name}")
            return {alias.asname or alias.name: f"{alias.name}:" for alias in node.names}
        base = absolute(module, node, is_package=self._is_package(module))
        found = {}
        for alias in node.names:
            found[alias.asname or alias.name] = self.member(base, alias.name)
        return found

    def member(self, module: str, name: str) -> str:
        """Id of module.name."""
        inner = f"{module}.{name}"
        if inner in self.kept or module in self.kept:
            return f"{inner}:" if inner in self.kept else f"{module}:{name}"
        if inner in self._trees:
            self.add(inner)
            return f"{inner}:"
        if module in self._trees:
            top = self.add(module)
            if name not in top:
                raise Unlinkable(f"{module} has no {name}")
            return top[name]
        if module.partition(".")[0] == PACKAGE:
            raise Unlinkable(f"there is no module {module}")
        return f"{module}:{name}"

    def is_ours(self, module: str) -> bool:
        return module in self._trees

    def _is_there(self, name: str) -> bool:
        return name in self._trees or name in self.kept

    def missing(self, name: str) -> set[str]:
        """What is not there of a module and of what it imports first; empty: it can be loaded."""
        if name in self.kept:
            return set()
        if name not in self._trees:
            return {name}
        return {
            absent
            for node in self._trees[name].body
            if isinstance(node, ast.ImportFrom)
            for inner in self._modules_of(name, node)
            for absent in self.missing(inner)
        }

    def _modules_of(self, module: str, node: ast.ImportFrom) -> Iterator[str]:
        """Our modules that an import loads."""
        base = absolute(module, node, is_package=self._is_package(module))
        if base.partition(".")[0] != PACKAGE:
            return
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            is_module = self._is_there(inner) or self._is_package(base) or not node.module
            yield inner if is_module else base

    def _is_package(self, module: str) -> bool:
        return any(name.startswith(f"{module}.") for name in self._trees)


def absolute(module: str, node: ast.ImportFrom, *, is_package: bool) -> str:
    """Name of the module that `from ... import` means."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    if not is_package:
        parts = parts[:-1]
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def _is_self_check(node: ast.stmt) -> bool:
    """`_check()`: whether this machine is the one it was written for, which the image knows."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="_check"), args=[], keywords=[])):
            return True
    return False


def _defined(node: ast.stmt) -> list[str]:
    match node:
        case (
            ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name)
        ):
            return [name]
        case ast.Assign(targets=targets):
            names: list[str] = []
            for target in targets:
                if isinstance(target, ast.Name):
                    names.append(target.id)
                elif isinstance(target, ast.Tuple):
                    names += [one.id for one in target.elts if isinstance(one, ast.Name)]
            return names
    return []
