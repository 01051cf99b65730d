"""Every command that the documentation shows is run, a document from top to bottom.

A fenced block opened by three backticks and `console` is a session: lines beginning `$ ` are
commands (a trailing backslash goes on), all else is output: each line of it must be among what the
command printed, spaces apart, unless it holds an ellipsis. `console exit=1` tells the exit code of
the block's last command; the others must give 0. In a `console like` block any number stands for
any number: runs over MQTT do not repeat to the byte. A document's blocks share one directory.
`$ make demo` leaves there what a run of `cairn demo --once` left, made once for all
documents; set-up commands that other tests cover are passed over.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
OPENING = re.compile(r"(?m)^\s*```\s*console")
BLOCK = re.compile(r"(?ms)^```console( like)?(?: exit=(\d+))?\n(.*?)^```$")
# What differs between two runs over MQTT: amounts, counts, times, ports, hashes.
VARYING = re.compile(r"\b[0-9a-f]{64}\b|\d+(?:\.\d+)?")
COMMAND = re.compile(r"(?m)^\$ ((?:.*\\\n)*.*)$")
COVERED_ELSEWHERE = re.compile(
    r"(git clone|cd|make (setup|test|test-quick|lint|bench|nightly|help))\b|make$"
)
# Their own tests run these, with what they need around them.
TESTED_ELSEWHERE = {"docs/flash-a-board.md": "tests/board/test_flash_docs.py"}
DEMO = re.compile(r"(make|cairn) demo$")
SECONDS_MAX = 300


@dataclass(frozen=True)
class Step:
    line: int
    command: str
    exit_code: int
    shown: tuple[str, ...]
    like: bool


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _missing(step: Step, printed: str) -> str | None:
    """The first line shown in the document that the command did not print."""

    def told(line: str) -> str:
        return VARYING.sub("0", line) if step.like else line

    real = {told(line) for line in _lines(printed)}
    for line in step.shown:
        if "…" not in line and told(line) not in real:
            return f"the document shows a line that was not printed: {line}"
    return None


def session(text: str) -> list[Step]:
    """Commands of one document in order; a ValueError for a block that would go unread."""
    steps = []
    blocks = list(BLOCK.finditer(text))
    if len(blocks) != len(OPENING.findall(text)):
        raise ValueError("a console block is indented, or opened by more than console like exit=N")
    for block in blocks:
        found = list(COMMAND.finditer(text, block.start(3), block.end(3)))
        for number, command in enumerate(found):
            last = command is found[-1]
            end = block.end(3) if last else found[number + 1].start()
            steps.append(
                Step(
                    text.count("\n", 0, command.start()) + 1,
                    command[1].replace("\\\n", " "),
                    int(block[2] or 0) if last else 0,
                    tuple(_lines(text[command.end() : end])),
                    bool(block[1]),
                )
            )
    return steps


def _documents() -> dict[str, list[Step]]:
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    return {
        name: session(text)
        for name, text in texts.items()
        if OPENING.search(text) and name not in TESTED_ELSEWHERE
    }


DOCUMENTS = _documents()


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    env["PATH"] = f"{BIN}{os.pathsep}{env['PATH']}"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )


@pytest.fixture(scope="module")
def after_demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    done = _run("cairn demo --once", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def _play(step: Step, folder: Path, request: pytest.FixtureRequest) -> str | None:
    """Run one step; what went wrong, or None."""
    if COVERED_ELSEWHERE.match(step.command):
        return None
    if DEMO.match(step.command):
        made, printed = request.getfixturevalue("after_demo")
        shutil.copytree(made, folder, dirs_exist_ok=True)
        return _missing(step, printed)
    command = re.sub(r'^make demo ARGS="(.*)"$', r"cairn demo \1", step.command)
    if not re.match(r"(?:[A-Z_]+=\S+ )*cairn ", command):
        return "not a cairn or make command, so nothing checks it"
    done = _run(command, folder)
    if done.returncode == step.exit_code:
        return _missing(step, done.stdout + done.stderr)
    return f"exit {done.returncode}, not {step.exit_code}\n{done.stdout}{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCUMENTS)
def test_document(name, tmp_path, request):
    # The simulator's scenarios and the like are named from the root of the checkout.
    for shown in ("simulator", "spec"):
        (tmp_path / shown).symlink_to(ROOT / shown)
    for step in DOCUMENTS[name]:
        wrong = _play(step, tmp_path, request)
        if wrong:
            pytest.fail(f"{name}:{step.line}: $ {step.command}\n{wrong}", pytrace=False)


def test_other_documents_have_a_test():
    for name, test in TESTED_ELSEWHERE.items():
        assert (ROOT / name).is_file()
        assert Path(name).name in (ROOT / test).read_text(encoding="utf-8")


def test_session_is_read_as_written():
    text = """# T

```console
$ cairn a \\
    --b
output
$ cairn c | head
```

```sh
$ cairn unseen
```

```console exit=1
$ cairn d
$ cairn e
```
"""
    steps = session(text)
    assert [(s.line, s.exit_code) for s in steps] == [(4, 0), (7, 0), (15, 0), (16, 1)]
    assert steps[0].command.split() == ["cairn", "a", "--b"]
    assert steps[1].command == "cairn c | head"
    assert [s.shown for s in steps] == [("output",), (), (), ()]
    assert _missing(steps[0], "some  output\n output \n") is None
    [about] = session("```console like\n$ cairn a\npaid 3.5 of 7\n```\n")
    assert _missing(about, "paid 41 of 9.25\n") is None
    assert _missing(about, "paid 41 of nothing\n") is not None
    assert "output" in (_missing(steps[0], "other\n") or "")


@pytest.mark.slow
def test_the_picture_shows_this_demo(tmp_path):
    # In process: over MQTT a payment differs a little from run to run.
    done = _run("cairn demo --once --in-process --json", tmp_path)
    number = json.loads(done.stdout)["epoch"]
    table = _run(f"cairn epoch show {number} --json --data cairn-demo", tmp_path).stdout
    drawn = tmp_path / "demo.svg"
    script = ROOT / "docs" / "pictures" / "make_demo_map.py"
    subprocess.run([sys.executable, script, drawn], input=table, text=True, check=True)
    # Not the bytes: fonts differ from machine to machine. What the picture says must be the same.
    assert _said(drawn) == _said(ROOT / "docs" / "pictures" / "demo.svg")


def _said(picture: Path) -> list[str]:
    """The texts and the coordinates of the marks of an SVG that matplotlib wrote."""
    text = picture.read_text(encoding="utf-8")
    return re.findall(r"<!-- .* -->", text) + re.findall(r'<use [^>]* x="[^"]*" y="[^"]*"', text)


@pytest.mark.parametrize("opening", ["```console ", "```console exit=x", "  ```console"])
def test_block_that_would_go_unread_is_an_error(opening):
    with pytest.raises(ValueError, match="console block"):
        session(f"{opening}\n$ cairn a\n```\n")
