"""The build-time pass: the board's modules in, one resident module and its overlays out.

Order: link (whose name is whose), fold (constants), shake (what nothing reaches), privatize,
positional (keywords), outline (overlays), rename, emit. Each step keeps what the program does;
docs/decisions/0018 says what that is checked with.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.device.calls import positional
from gateway.device.emit import door_text, module_text
from gateway.device.fold import fold
from gateway.device.link import link
from gateway.device.names import builtin_attributes
from gateway.device.outline import LOAD, PLAIN, outline
from gateway.device.overlays import ALWAYS_RESIDENT, LOADER, LOADER_FILE, OVERLAYS, overlay_of
from gateway.device.private import own_name, privatize
from gateway.device.program import MAIN, PACKAGE, Program, module_of
from gateway.device.rename import Names, rename
from gateway.device.shake import shake
from gateway.device.sources import NATIVE_SUFFIX
from gateway.device.strip import Function

RESIDENT_MODULE = "app"
# Boards and their main program: a module of its own, which brings its board.
MAIN_MODULE = "application"

_BASE = f"{PACKAGE}.boards.base"
# The second program: what a host calls over the serial console (firmware/console.py).
CONSOLE = "console"
CONSOLE_DOORS: Mapping[str, tuple[str, ...]] = {
    CONSOLE: ("whoami", "begin", "put", "provision", "wifi", "join", "check", "forget"),
}
# Its modules must not be taken for those of the first one.
CONSOLE_PREFIX = "con_"

# What other programs may import from an image by its old name (the tests' boards do).
DOORS: Mapping[str, tuple[str, ...]] = {
    f"{PACKAGE}.station": ("run",),
    f"{PACKAGE}.identity": ("open_identity",),
    f"{PACKAGE}.limits": ("STREAM_TIMEOUT_MS", "RETAINED_BYTES", "VERSION"),
    f"{PACKAGE}.boards.directory_files": ("DirectoryFiles",),
    f"{PACKAGE}.sensors.rack": ("Rack",),
    _BASE: ("Board", "Files", "Event", "Stream", "Link"),
}
# Tuples of texts that are names of attributes, and so keep them.
TABLES = (f"{PACKAGE}.config:_FIELDS",)
# Modules that use objects of the interpreter or of a board, whose names are not ours to change.
_OUTWARD = (f"{PACKAGE}.boards.", f"{PACKAGE}.sensors.", "main:", f"{CONSOLE}:")


@dataclass(frozen=True)
class Minified:
    """texts: sources by file name; names: new name -> old, by module, for who reads a traceback;
    left: what was meant for an overlay and had to stay.
    """

    texts: dict[str, str]
    names: dict[str, dict[str, str]]
    left: list[str]


def minify(
    texts: Mapping[str, str],
    *,
    doors: Mapping[str, tuple[str, ...]] = DOORS,
    overlays: Mapping[str, tuple[str, ...]] = OVERLAYS,
    keep: Iterable[str] = (),
    home: str = RESIDENT_MODULE,
) -> Minified:
    """The same program in less memory. keep: attributes that keep their names; home: name of the
    resident module.
    """
    kept = {name: text for name, text in texts.items() if name.endswith(NATIVE_SUFFIX)}
    linked = {name: text for name, text in texts.items() if name not in kept}
    linked[LOADER_FILE] = LOADER
    program = link(linked, frozenset(map(module_of, kept)))
    fold(program)
    constants = dict(program.items)
    open_doors = {
        module: {name: f"{module}:{name}" for name in names if f"{module}:{name}" in constants}
        for module, names in doors.items()
    }
    roots = [gid for members in open_doors.values() for gid in members.values()]
    pinned = _outward(program) | set(keep) | _in_tables(program)
    pinned |= set(_methods_of(_BASE, texts))
    foreign = pinned | builtin_attributes()
    shake(program, [*roots, LOAD, PLAIN], pinned)
    privatize(program, foreign)
    shake(program, [*roots, LOAD, PLAIN], pinned)
    calls = positional(program, foreign, roots)
    wanted = overlay_of(_candidates(program), overlays)
    # A class that moves takes its methods along.
    whole = {gid.removeprefix("class ") for gid in wanted if gid.startswith("class ")}
    wanted = {
        gid.removeprefix("class "): unit
        for gid, unit in wanted.items()
        if gid.rpartition(".")[0] not in whole
    }
    if MAIN in program.statements:
        mains = {gid: MAIN_MODULE for gid in program.items if _is_of_main(gid, open_doors)}
        wanted = mains | wanted
    layout = outline(
        program, wanted, [LOAD, PLAIN, *ALWAYS_RESIDENT, *roots], foreign, {MAIN: MAIN_MODULE}
    )
    names = rename(program, pinned=pinned, kept=calls, units=layout.units)
    made = dict(kept)
    for unit, gids in layout.units.items():
        module = unit or home
        last = program.statements.get(MAIN, []) if module == MAIN_MODULE else []
        made[f"{module}.py"] = module_text(program, names, gids, home, last)
    for module, members in open_doors.items():
        if members:
            file = module.replace(".", "/") + ".py"
            made[file] = door_text(names, layout.units, members, constants, home)
    return Minified(made, _map(names, layout.units, home), layout.left)


def minify_console(texts: Mapping[str, str]) -> Minified:
    """The second program of an image, apart from the first: each works without the other."""
    alone = {name: text for name, text in texts.items() if name != f"{MAIN}.py"}
    overlays = {CONSOLE_PREFIX + unit: patterns for unit, patterns in OVERLAYS.items()}
    home = CONSOLE_PREFIX + RESIDENT_MODULE
    return minify(alone, doors=CONSOLE_DOORS, overlays=overlays, home=home)


def _outward(program: Program) -> set[str]:
    """Attributes that code at the edge uses; private ones are the program's own."""
    return {
        part.attr
        for item in program.items.values()
        if item.id.startswith(_OUTWARD)
        for part in ast.walk(item.node)
        if isinstance(part, ast.Attribute) and not part.attr.startswith("_")
    }


def _methods_of(module: str, texts: Mapping[str, str]) -> Iterator[str]:
    """Names of the methods that a module's classes declare, abstract ones included."""
    text = texts.get(module.replace(".", "/") + ".py", "")
    for part in ast.walk(ast.parse(text)):
        if isinstance(part, Function) and not part.name.startswith("__"):
            yield part.name
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            yield part.target.id


def _in_tables(program: Program) -> set[str]:
    return {
        part.value
        for gid in TABLES
        if gid in program.items
        for part in ast.walk(program.items[gid].node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def _candidates(program: Program) -> dict[str, int]:
    """What an overlay may hold, and how large it is."""
    found: dict[str, int] = {}
    for gid, item in program.items.items():
        if isinstance(item.node, Function):
            found[gid] = _size(item.node)
        elif isinstance(item.node, ast.ClassDef):
            found[f"class {gid}"] = _size(item.node)
            for part in item.node.body:
                if isinstance(part, Function):
                    found[f"{gid}.{own_name(part.name)}"] = _size(part)
    return found


def _size(node: ast.AST) -> int:
    return sum(1 for _ in ast.walk(node))


def _is_of_main(gid: str, doors: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether only the main program of a board needs it."""
    module = gid.partition(":")[0]
    return module not in doors and module.startswith((f"{PACKAGE}.boards.", "main"))


def _map(names: Names, units: Mapping[str, list[str]], home: str) -> dict[str, dict[str, str]]:
    found = {
        unit or home: {names.ids[gid]: gid.split("@")[0] for gid in gids}
        for unit, gids in units.items()
    }
    found["attributes"] = {}
    for old, new in names.attributes.items():
        known = found["attributes"].get(new)
        found["attributes"][new] = f"{known} {old}" if known else old
    return found
