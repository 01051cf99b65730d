"""What the tests about the repository itself share: its files, parsed once."""

import ast
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class Tree:
    """The files that git tracks or would track, with text and syntax trees on demand."""

    def __init__(self, root: Path) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")
        self.root = root
        # A file deleted but not yet committed is listed and absent.
        self.names = sorted(name for name in set(listed) if name and (root / name).is_file())

    def under(self, *prefixes: str, suffix: str = "") -> list[str]:
        return [n for n in self.names if n.startswith(prefixes) and n.endswith(suffix)]

    def text(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def parse(self, name: str) -> ast.Module:
        return ast.parse(self.text(name), filename=name)

    def walk(self, *prefixes: str) -> Iterator[tuple[str, ast.AST]]:
        for name in self.under(*prefixes, suffix=".py"):
            for node in ast.walk(self.parse(name)):
                yield name, node


@pytest.fixture(scope="session")
def tree(repo_root: Path) -> Tree:
    return Tree(repo_root)


@pytest.fixture(scope="session")
def expect_none() -> Callable[[list[str]], None]:
    """Return a function that fails with one `file:line: what` a line."""

    def check(found: list[str]) -> None:
        if found:
            pytest.fail("\n".join(["", *found]), pytrace=False)

    return check
