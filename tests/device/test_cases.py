"""Every file of cases/ passes on real MicroPython, and as many tests run there as here."""

import ast
import importlib.util
import json
import unittest
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES = sorted((HERE / "cases").glob("test_*.py"))
ALLOWED = {"unittest", "cairn", "simulator", "binascii", "gc", "hashlib", "struct"}
RunMicroPython = Callable[..., str]


def counted_here(path: Path) -> int:
    spec = importlib.util.spec_from_file_location(f"counted_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module).countTestCases()


def run_there(micropython: RunMicroPython, path: Path, tmp_path: Path) -> dict[str, int]:
    named = tmp_path / "case.json"
    named.write_text(json.dumps(path.stem), encoding="utf-8")
    copies = {
        named: "/case.json",
        path: f"/cases/{path.name}",
        ROOT / "simulator" / "__init__.py": "/lib/simulator/__init__.py",
        ROOT / "simulator" / "chips": "/lib/simulator/chips",
    }
    printed = micropython(HERE / "cases.py", copies)
    told: dict[str, int] = json.loads(printed.splitlines()[-1])
    assert not told["failed"], printed
    return told


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_on_micropython(path: Path, micropython: RunMicroPython, tmp_path: Path) -> None:
    told = run_there(micropython, path, tmp_path)
    assert told == {"ran": counted_here(path), "failed": 0, "skipped": 0}
    assert told["ran"]


def test_a_failure_there_is_a_failure_here(micropython: RunMicroPython, tmp_path: Path) -> None:
    broken = tmp_path / "test_broken.py"
    broken.write_text(
        "import unittest\n"
        "class Broken(unittest.TestCase):\n"
        "    def test_right(self): self.assertEqual(1, 1)\n"
        "    def test_wrong(self): self.assertEqual(1, 2, 'as it must')\n"
    )
    with pytest.raises(AssertionError, match="FAIL: test_wrong"):
        run_there(micropython, broken, tmp_path)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_unittest_counts_what_pytest_collects(path: Path) -> None:
    """So the counts above are equal only if every test that pytest runs here also ran there."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                imported = {name.name.split(".")[0] for name in names}
            case ast.ImportFrom(module=str(source)):
                imported = {source.split(".")[0]}
            case _:
                continue
        assert imported <= ALLOWED, f"{path.name}:{node.lineno}"
    loose = [node.name for node in module.body if isinstance(node, ast.FunctionDef)]
    assert not [name for name in loose if name.startswith("test")]
    for case in (node for node in module.body if isinstance(node, ast.ClassDef)):
        tests = {one.name for one in case.body if isinstance(one, ast.FunctionDef)}
        assert not tests & {"setUpClass", "tearDownClass"}
        if not any(ast.unparse(base) == "unittest.TestCase" for base in case.bases):
            assert not [name for name in tests if name.startswith("test")], case.name
