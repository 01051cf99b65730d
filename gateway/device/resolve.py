"""Puts ids in place of the global names that one definition mentions."""

import ast
from typing import Protocol

from gateway.device.program import BORROW, PACKAGE, arguments_of, locals_of
from gateway.device.strip import Function


class Modules(Protocol):
    """What is known of the other modules."""

    def add(self, module: str) -> dict[str, str]: ...

    def chosen(self, module: str, node: ast.Try) -> list[ast.stmt]: ...

    def imported(self, module: str, node: ast.Import | ast.ImportFrom) -> dict[str, str]: ...

    def member(self, module: str, name: str) -> str: ...

    def is_ours(self, module: str) -> bool: ...


class Resolver(ast.NodeTransformer):
    """Puts ids in place of global names, and drops imports inside functions."""

    def __init__(self, linker: Modules, module: str, top: dict[str, str]) -> None:
        self._linker = linker
        self._module = module
        # None: a local name.
        self._scopes: list[dict[str, str | None]] = [dict(top)]

    def statement(self, node: ast.stmt) -> ast.stmt:
        made: ast.stmt = self.visit(node)
        return made

    def _resolve(self, name: str) -> str | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return None

    def visit_Name(self, node: ast.Name) -> ast.expr:
        found = self._resolve(node.id)
        if found is None:
            return node
        return ast.copy_location(ast.Name(id=found, ctx=node.ctx), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        node.value = self.visit(node.value)
        match node.value:
            case ast.Name(id=owner) if owner.endswith(":") and self._linker.is_ours(owner[:-1]):
                return ast.Name(id=self._linker.member(owner[:-1], node.attr), ctx=node.ctx)
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(module))]) if (
                name == BORROW
            ):
                gid = self._linker.member(f"{PACKAGE}.{module}", node.attr)
                return ast.Name(id=gid, ctx=node.ctx)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | None:
        # module = borrow("x"): the name stands for the module from here on.
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name(id=function), args=[ast.Constant(value=str(module))]),
            ) if self._resolve(function) == BORROW:
                self._linker.add(f"{PACKAGE}.{module}")
                self._scopes[-1][name] = f"{PACKAGE}.{module}:"
                return None
        self.generic_visit(node)
        return node

    def visit_Try(self, node: ast.Try) -> ast.stmt | list[ast.stmt]:
        if all(isinstance(part, ast.Import | ast.ImportFrom) for part in node.body):
            chosen = self._linker.chosen(self._module, node)
            return [made for part in chosen if (made := self.visit(part)) is not None]
        node.body = self._body(node.body)
        for handler in node.handlers:
            if handler.type is not None:
                handler.type = self.visit(handler.type)
            handler.body = self._body(handler.body)
        node.orelse = self._body(node.orelse) if node.orelse else []
        node.finalbody = self._body(node.finalbody) if node.finalbody else []
        return node

    def visit_Import(self, node: ast.Import) -> ast.stmt | None:
        return self._import(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | None:
        return self._import(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> ast.stmt | None:
        for name, gid in self._linker.imported(self._module, node).items():
            module = gid.split(":")[0]
            if not self._linker.is_ours(module):
                # A foreign module is imported where it was.
                return node
            self._scopes[-1][name] = gid
        return None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self._function(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        self._function(node)
        return node

    def _function(self, node: Function) -> None:
        node.decorator_list = [self.visit(one) for one in node.decorator_list]
        self._defaults(node.args)
        self._scopes.append(dict.fromkeys(locals_of(node)))
        node.body = self._body(node.body)
        self._scopes.pop()

    def _body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        made = []
        for part in body:
            visited = self.visit(part)
            made += visited if isinstance(visited, list) else [visited] if visited else []
        return made or [ast.Pass()]

    def _defaults(self, arguments: ast.arguments) -> None:
        arguments.defaults = [self.visit(one) for one in arguments.defaults]
        arguments.kw_defaults = [one and self.visit(one) for one in arguments.kw_defaults]

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        self._defaults(node.args)
        self._scopes.append(dict.fromkeys(arguments_of(node.args)))
        node.body = self.visit(node.body)
        self._scopes.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.bases = [self.visit(base) for base in node.bases]
        node.body = self._body(node.body)
        return node

    def _comprehension(self, node: ast.expr) -> ast.expr:
        generators: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]
        names = {
            inner.id
            for generator in generators
            for inner in ast.walk(generator.target)
            if isinstance(inner, ast.Name)
        }
        generators[0].iter = self.visit(generators[0].iter)
        self._scopes.append(dict.fromkeys(names))
        for place, generator in enumerate(generators):
            if place:
                generator.iter = self.visit(generator.iter)
            generator.ifs = [self.visit(test) for test in generator.ifs]
        for name in ("elt", "key", "value"):
            if hasattr(node, name):
                setattr(node, name, self.visit(getattr(node, name)))
        self._scopes.pop()
        return node

    visit_ListComp = visit_SetComp = _comprehension  # noqa: N815 - what ast calls
    visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815
