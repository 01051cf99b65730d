"""Every code that an operator can meet has its section in the manual, and no section is idle."""

import ast
import re
from pathlib import Path

from gateway.cli.faults import exit_code
from gateway.shell.errors import Code, OperatorFault

CORE_FAULTS = {"EpochError", "RulesError", "TableError"}


def core_codes(core: Path) -> set[str]:
    """Codes that the core's own faults carry, found in its sources."""
    codes = set()
    for path in core.glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        raises_epochs = "EpochError(what, why, _RESTORE" in path.read_text("utf-8")
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[*_, ast.Constant(value=str(code))]):
                    if name in CORE_FAULTS:
                        codes.add(code)
                    elif name == "_fault" and raises_epochs:
                        codes.add(f"epoch_{code}")
                case ast.Call(func=ast.Name(id="_fault"), args=[*_, ast.JoinedStr()]):
                    # f"{name}_log", for both logs.
                    codes |= {"epoch_admission_log", "epoch_operator_log"}
                case ast.Assign(
                    targets=[ast.Name(id="_CODE")], value=ast.Constant(value=str(code))
                ):
                    codes.add(code)
    return codes


def documented(repo_root: Path) -> list[str]:
    text = (repo_root / "docs" / "troubleshooting.md").read_text("utf-8")
    return re.findall(r"(?m)^### `([a-z_]+)`$", text)


def test_every_code_has_one_section_and_every_section_a_code(repo_root: Path):
    sections = documented(repo_root)
    known = {code.value for code in Code} | core_codes(repo_root / "gateway" / "core")
    assert sorted(sections) == sorted(known)


def test_every_code_is_raised_somewhere(repo_root: Path):
    sources = "".join(
        path.read_text("utf-8")
        for folder in ("shell", "cli", "device", "board")
        for path in (repo_root / "gateway" / folder).rglob("*.py")
        if path.name not in {"errors.py", "faults.py"}
    )
    assert [code.name for code in Code if f"Code.{code.name}" not in sources] == []


def test_every_section_says_what_to_do(repo_root: Path):
    text = (repo_root / "docs" / "troubleshooting.md").read_text("utf-8")
    sections = text.split("\n### ")[1:]
    assert [s.splitlines()[0] for s in sections if "**Do:**" not in s] == []


def test_exit_codes_tell_wrong_use_from_what_cannot_be_reached():
    def code_of(code: Code) -> int:
        return exit_code(OperatorFault("", "", "", code))

    assert code_of(Code.CONFIG_UNKNOWN) == 2
    assert code_of(Code.STORE_MISSING) == 3
    assert code_of(Code.STORE_CORRUPT) == 1
    assert code_of(Code.CLOCK_NOT_DRIVABLE) == 2
    assert code_of(Code.LISTEN_FAILED) == code_of(Code.GATEWAY_RUNNING) == 3
    assert code_of(Code.INGEST_STOPPED) == code_of(Code.API_REFUSED) == 1
    assert exit_code(OperatorFault("", "", "", "rules_not_toml")) == 1
