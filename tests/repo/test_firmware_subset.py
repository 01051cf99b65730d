"""Board code keeps to what MicroPython 1.27 runs; tests/device runs it there, this says where.

The list is what that interpreter was seen to refuse, drop or answer differently.
"""

import ast
import re
from collections.abc import Iterator

# firmware/tools/ runs on the host: it makes what is committed here.
BOARD_CODE = (
    "firmware/cairn/", "firmware/console.py", "firmware/launch.py", "firmware/main.py",
    "firmware/manifest.py",
)  # fmt: skip
HARDWARE = {
    "aioespnow", "dht", "ds18x20", "esp", "esp32", "espnow", "lora", "machine", "network",
    "onewire",
}  # fmt: skip
PURE_IMPORTS = {"binascii", "gc", "hashlib", "micropython", "struct"}
BOARD_IMPORTS = PURE_IMPORTS | {
    "asyncio", "errno", "os", "random", "select", "socket", "ssl", "sys", "time",
}  # fmt: skip
MISSING_METHODS = {
    "bit_count", "bit_length", "isascii", "removeprefix", "removesuffix", "_replace", "zfill",
}  # fmt: skip
SELF_DOCUMENTING = re.compile(r"\{[^{}]*[^{}=!<>]=(![rsa])?(:[^{}]*)?\}")


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield node.module or ""


def _allowed(name: str) -> set[str]:
    if name in ("firmware/console.py", "firmware/launch.py"):
        return BOARD_IMPORTS | HARDWARE | {"application", "cairn", "json"}
    if not name.startswith("firmware/cairn/"):
        return BOARD_IMPORTS | {"cairn"}
    if name.startswith("firmware/cairn/boards/esp32"):
        return BOARD_IMPORTS | HARDWARE
    if name == "firmware/cairn/overlay.py":
        return PURE_IMPORTS | {"sys"}
    return BOARD_IMPORTS if name.startswith("firmware/cairn/boards/") else PURE_IMPORTS


def _run_time(module: ast.Module) -> Iterator[ast.AST]:
    """Nodes that run on the board; an `if TYPE_CHECKING:` body is for mypy alone."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                waiting += node.orelse
            case _:
                waiting += ast.iter_child_nodes(node)


def test_imports(tree, expect_none):
    found = []
    for name in tree.under(*BOARD_CODE, suffix=".py"):
        in_core = name.startswith("firmware/cairn/") and "/boards/" not in name
        for node in _run_time(tree.parse(name)):
            found += [
                f"{name}:{node.lineno}: imports {module}"
                for module in _imported(node)
                if module.split(".")[0] not in _allowed(name)
            ]
            if in_core and isinstance(node, ast.ImportFrom) and "boards" in (node.module or ""):
                found.append(f"{name}:{node.lineno}: imports a board; boards import cairn")
    expect_none(found)


def _refused_syntax(node: ast.AST) -> str | None:
    match node:
        case ast.Match():
            return "match"
        case ast.TryStar():
            return "except*"
        case ast.arguments(posonlyargs=[_, *_]):
            return "positional-only arguments"
        case ast.Raise(cause=ast.expr()):
            return "raise ... from (the cause is dropped)"
        case ast.AsyncFunctionDef() if any(isinstance(n, ast.Yield) for n in ast.walk(node)):
            return "yield in async def (becomes a plain generator)"
        case (
            ast.List(elts=elements, ctx=ast.Load()) | ast.Tuple(elts=elements, ctx=ast.Load())
        ) if any(isinstance(element, ast.Starred) for element in elements):
            return "a star in a list or tuple display"
        case ast.Constant(value=float()):
            return f"float {node.value}"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "float division"
    return None


def _refused_call(node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Attribute(attr="__init__", value=ast.Name())):
            return "Base.__init__(self) (built-in classes have none there: use super())"
        case ast.Attribute() if node.attr in MISSING_METHODS:
            return f".{node.attr}"
        case ast.Call(func=ast.Name(id="zip"), keywords=[_, *_]):
            return "zip(strict=)"
        case ast.Call(func=ast.Attribute(attr="startswith" | "endswith"), args=[ast.Tuple(), *_]):
            return "startswith or endswith of a tuple"
        case ast.Call(func=ast.Name(id="min" | "max")) if any(
            k.arg == "key" for k in node.keywords
        ):
            return "min or max with key="
    return None


def _lineno(node: ast.AST) -> int:
    if isinstance(node, ast.arguments):
        return node.posonlyargs[0].lineno
    return node.lineno


def test_syntax_and_builtins(tree, expect_none):
    found = []
    for name, node in tree.walk(*BOARD_CODE):
        what = _refused_syntax(node) or _refused_call(node)
        if what:
            found.append(f"{name}:{_lineno(node)}: {what}")
    expect_none(found)


def test_no_self_documenting_format_strings(tree, expect_none):
    found = []
    for name in tree.under(*BOARD_CODE, suffix=".py"):
        text = tree.text(name)
        for node in ast.walk(tree.parse(name)):
            if isinstance(node, ast.JoinedStr):
                source = ast.get_source_segment(text, node) or ""
                if SELF_DOCUMENTING.search(source):
                    found.append(f"{name}:{node.lineno}: f-string with =")
    expect_none(found)
