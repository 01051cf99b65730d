"""House rules that concern every file: size, names, headings, and what must not be named."""

import ast
import re
from pathlib import PurePosixPath

CODE_SUFFIXES = {".py", ".js", ".mjs", ".sh"}
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
VAGUE_MODULES = {"utils", "util", "helpers", "helper", "common", "misc"}
VAGUE_CLASS = re.compile(r"(Manager|Service|Helper)s?$")
# Put together from pieces, or this file would name what it forbids.
UNNAMEABLE = [
    re.compile(re.escape("/" + "work/")),
    re.compile(re.escape("." + "library")),
    re.compile(re.escape("tmp/" + "brief")),
    re.compile(r"\bfarm" + r"-[a-z]"),
    re.compile(re.escape("registry." + "npmjs")),
    re.compile(re.escape("files.python" + "hosted")),
    re.compile(re.escape("py" + "pi.org")),
]


def test_code_files_are_short(tree, expect_none):
    found = []
    for name in tree.names:
        if PurePosixPath(name).suffix in CODE_SUFFIXES:
            lines = tree.text(name).count("\n")
            if lines > FILE_LINES_MAX:
                found.append(f"{name}:{lines}: {lines} lines, at most {FILE_LINES_MAX}")
    expect_none(found)


def test_functions_are_short(tree, expect_none):
    found = []
    for name, node in tree.walk(""):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                found.append(
                    f"{name}:{node.lineno}: {node.name} has {lines} lines, "
                    f"at most {FUNCTION_LINES_MAX}"
                )
    expect_none(found)


def test_names_say_what_is_inside(tree, expect_none):
    found = [
        f"{name}:1: a module named after nothing in the field"
        for name in tree.under("", suffix=".py")
        if PurePosixPath(name).stem in VAGUE_MODULES
    ]
    for name, node in tree.walk(""):
        if isinstance(node, ast.ClassDef) and VAGUE_CLASS.search(node.name):
            found.append(f"{name}:{node.lineno}: class {node.name} is named after no thing")
    expect_none(found)


def test_nothing_names_the_place_where_it_was_made(tree, expect_none):
    found = []
    for name in tree.names:
        try:
            lines = tree.text(name).splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            found += [
                f"{name}:{number}: names {hit.group()!r}"
                for pattern in UNNAMEABLE
                if (hit := pattern.search(line))
            ]
    expect_none(found)


def test_every_markdown_file_has_one_title(tree, expect_none):
    found = []
    for name in tree.under("", suffix=".md"):
        outside = re.sub(r"(?ms)^(```|~~~).*?^\1", "", tree.text(name))
        titles = re.findall(r"(?m)^# \S", outside)
        if len(titles) != 1:
            found.append(f"{name}:1: {len(titles)} first-level headings, exactly one wanted")
    expect_none(found)


def test_decisions_are_numbered_and_indexed(tree, expect_none):
    folder = "docs/decisions/"
    files = [name.removeprefix(folder) for name in tree.under(folder, suffix=".md")]
    numbered = [name for name in files if re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name)]
    linked = re.findall(r"\]\(([^):]+\.md)\)", tree.text(folder + "README.md"))
    numbers = [name[:4] for name in numbered]
    found = [
        f"{folder}{name}:1: not named NNNN-what.md"
        for name in set(files) - set(numbered) - {"README.md", "dependencies.md"}
    ]
    found += [f"{folder}{n}:1: number used twice" for n in numbers if numbers.count(n) > 1]
    found += [
        f"{folder}README.md:1: does not list {n}" for n in set(files) - set(linked) - {"README.md"}
    ]
    found += [f"{folder}README.md:1: lists {n}, which is absent" for n in set(linked) - set(files)]
    expect_none(found)
