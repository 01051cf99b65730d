"""Takes out of a module what a board never runs: types, docstrings, abstract methods.

Nothing here looks beyond one module.
"""

import ast
from typing import Any, TypeVar

_TYPES_ONLY = "TYPE_CHECKING"

Function = ast.FunctionDef | ast.AsyncFunctionDef
_F = TypeVar("_F", ast.FunctionDef, ast.AsyncFunctionDef)


def strip(tree: ast.Module) -> ast.Module:
    """The module without them; its behaviour on the board is the same."""
    stripped: ast.Module = _Strip().visit(tree)
    return ast.fix_missing_locations(stripped)


class _Strip(ast.NodeTransformer):
    def visit_Module(self, node: ast.Module) -> ast.Module:
        node.body = [one for part in _undocumented(node.body) for one in _apart(part)]
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        return self._function(node)

    def _function(self, node: _F) -> _F:
        node.returns = None
        arguments: ast.arguments = node.args
        for argument in [*arguments.args, *arguments.kwonlyargs, *_starred(arguments)]:
            argument.annotation = None
        node.body = _undocumented(node.body)
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.body = [part for part in _undocumented(node.body) if not is_abstract(part)]
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        self.generic_visit(node)
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | None:
        match node.targets:
            case [ast.Name(id=name)] if name == _TYPES_ONLY:
                return None
        self.generic_visit(node)
        return node

    def visit_If(self, node: ast.If) -> Any:
        match node.test:
            case ast.Name(id=name) if name == _TYPES_ONLY:
                kept: list[ast.stmt] = []
                for statement in node.orelse:
                    made = self.visit(statement)
                    kept += made if isinstance(made, list) else [made] if made else []
                return kept
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_Assert(self, _node: ast.Assert) -> ast.stmt:
        # mpy-cross -O3 drops it; here what only it uses goes too.
        return ast.Pass()


def is_abstract(node: ast.stmt) -> bool:
    """Whether it is a method that only says that there must be one."""
    if not isinstance(node, Function):
        return False
    match _undocumented(node.body):
        case [ast.Raise(exc=ast.Name(id="NotImplementedError"))]:
            return True
    return False


def _apart(node: ast.stmt) -> list[ast.stmt]:
    """`A, B = 1, 2` as two statements."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)) if len(
            names
        ) == len(values) and all(isinstance(one, ast.Constant) for one in values):
            pairs = zip(names, values, strict=True)
            return [ast.Assign(targets=[name], value=value) for name, value in pairs]
    return [node]


def _undocumented(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body


def _starred(arguments: ast.arguments) -> list[ast.arg]:
    return [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
