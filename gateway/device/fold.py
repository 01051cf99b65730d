"""Puts constants where they are used, across all modules.

A module-level name that is bound to a number, a text or bytes costs a board a name, a place in a
dictionary and a look-up at each use.
"""

import ast
import operator
from collections import Counter
from collections.abc import Callable

from gateway.device.program import Program, ids_in

Value = int | str | bytes | bool | None

# What a board answers to a question that only other computers answer otherwise.
ON_A_BOARD: dict[str, Value] = {"cairn.boards.asyncio_base:ON_CHIP": True}

# Where a class says only what others must have.
BASES = "cairn.boards."

# What an expression holds without an object of its own on the heap.
_SMALL_INT = 1 << 30
# MicroPython interns texts up to this length: one copy for all uses.
_INTERNED_MAX = 10

_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
    ast.Pow: operator.pow,
}


def fold(program: Program) -> None:
    """Replace the names of constants by their values; unused ones are left for `shake`. A folded
    name's definition stays for who asks for it by name.
    """
    uses = Counter(gid for item in program.items.values() for gid in ids_in(item.node))
    known: dict[str, Value] = dict(ON_A_BOARD)
    objects = {"object"}
    for item in program.items.values():
        folded: ast.stmt = _Fold(known, objects).visit(item.node)
        if item.module.startswith(BASES) and _is_hollow(folded):
            # Its methods were abstract: nothing is left that a subclass could inherit.
            folded = ast.Assign(
                targets=[ast.Name(id=item.id, ctx=ast.Store())],
                value=ast.Name(id="object", ctx=ast.Load()),
            )
        item.node = folded
        item.refresh()
        match folded:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)) if (
                isinstance(value, Value) and _worth_copying(value, uses[name] - 1)
            ):
                known[name] = value
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id="object")):
                objects.add(name)
    for statements in program.statements.values():
        statements[:] = [_Fold(known, objects).visit(statement) for statement in statements]


def _worth_copying(value: Value, uses: int) -> bool:
    if uses <= 1 or value is None or isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) < _SMALL_INT
    if isinstance(value, bytes):
        return not value
    return len(value) <= _INTERNED_MAX


def _is_hollow(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.ClassDef)
        and not node.bases
        and not node.decorator_list
        and all(isinstance(part, ast.Pass) for part in node.body)
    )


def _is_object(node: ast.expr, objects: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in objects


class _Fold(ast.NodeTransformer):
    def __init__(self, known: dict[str, Value], objects: set[str]) -> None:
        self._known = known
        # Names that stand for `object`, which need not be a base.
        self._objects = objects

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if isinstance(node.ctx, ast.Load) and node.id in self._known:
            return ast.copy_location(ast.Constant(self._known[node.id]), node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        node.bases = [base for base in node.bases if not _is_object(base, self._objects)]
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        match node.left, node.right:
            case ast.Constant(value=bool()), _:
                return node
            case ast.Constant(value=int(left)), ast.Constant(value=int(right)):
                if type(node.op) in _OPERATIONS and right >= 0:
                    value = _OPERATIONS[type(node.op)](left, right)
                    return ast.copy_location(ast.Constant(value), node)
        return node

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        match node.test:
            case ast.Constant(value=value):
                return (node.body if value else node.orelse) or ast.Pass()
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        match node.test:
            case ast.Constant(value=value):
                return node.body if value else node.orelse
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
                return ast.copy_location(ast.Constant(-value), node)
            case ast.UnaryOp(op=ast.Not(), operand=ast.Constant(value=value)):
                return ast.copy_location(ast.Constant(not value), node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        match node:
            # bytes(16), but not of a size that only a loop could want.
            case ast.Call(
                func=ast.Name(id="bytes"), args=[ast.Constant(value=int(size))], keywords=[]
            ) if 0 <= size <= 64:
                return ast.copy_location(ast.Constant(bytes(size)), node)
        return node
