"""firmware/ checked against the types of MicroPython's ESP32 port, and the tests' stand-ins too.

What is checked is what the authors of micropython-esp32-stubs read from that port and its
documentation; an ESP32 itself decides.
"""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / ".venv-stubs"
CHIP = ROOT / "simulator" / "virtual" / "chip"
# Of the stand-ins: what a test looks at, not the module.
OURS = {"World", "power_on", "silence"}
# lora is micropython-lib's and has no stubs.
STUBBED = ("machine", "network", "esp32", "aioespnow", "dht", "onewire", "ds18x20")

MISUSE = """
import network
from machine import WDT, Pin, deepsleep

Pin(5, 12.5)                                          # arg-type
WDT(timeout="long")                                   # arg-type
WDT().stop()                                          # attr-defined
network.WLAN(network.WLAN.IF_STA).connect("home", 5)  # arg-type
deepsleep(time_ms=5)                                  # call-overload
import subprocess                                     # import-not-found
"""


@pytest.fixture(scope="module")
def stubs() -> Path:
    if not (STUBS / "machine.pyi").is_file():
        pytest.skip(
            "component missing: micropython-esp32-stubs (.ci/setup-tests makes .venv-stubs)"
        )
    return STUBS


def check(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [ROOT / ".venv" / "bin" / "mypy", "--config-file", ROOT / "firmware" / "mypy.ini"]
    return subprocess.run(
        [*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_firmware_keeps_to_the_types_of_the_esp32_port(stubs: Path) -> None:
    done = check()
    assert done.returncode == 0, done.stdout + done.stderr
    modules = list((ROOT / "firmware").glob("cairn/**/*.py"))
    assert any(module.name == "esp32.py" for module in modules)
    checked = [module for module in modules if not module.name.endswith("_viper.py")]
    # And main.py, launch.py and console.py beside the package.
    assert f"in {len(checked) + 3} source files" in done.stdout, "not every module was looked at"


def test_misuse_is_found(stubs: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(MISUSE)
    done = check(wrong)
    found = {}
    for line in done.stdout.splitlines():
        if "wrong.py:" in line and ": error:" in line:
            number = int(line.split("wrong.py:")[1].split(":")[0])
            found[number] = line.rsplit("[", 1)[1].rstrip("]")
    expected = {
        number: line.split("#")[1].strip()
        for number, line in enumerate(MISUSE.splitlines(), 1)
        if "#" in line
    }
    assert found == expected, done.stdout


def signatures(node: ast.Module | ast.ClassDef) -> dict[str, list[ast.arguments]]:
    """Of every function in it; several where it is overloaded."""
    found: dict[str, list[ast.arguments]] = {}
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            found.setdefault(part.name, []).append(part.args)
    return found


def stub_of(name: str) -> tuple[dict[str, list[ast.arguments]], dict[str, ast.ClassDef]]:
    module = ast.parse((STUBS / f"{name}.pyi").read_text())
    classes: dict[str, ast.ClassDef] = {}
    for part in module.body:
        # network.pyi repeats a class; the first one is what mypy takes.
        if isinstance(part, ast.ClassDef):
            classes.setdefault(part.name, part)
    return signatures(module), classes


def inherited(name: str, module: str) -> dict[str, list[ast.arguments]]:
    """Functions of class name and of its bases, also where they come from another stub."""
    _, classes = stub_of(module)
    found: dict[str, list[ast.arguments]] = {}
    for base in classes[name].bases:
        if isinstance(base, ast.Name) and base.id in classes:
            found.update(inherited(base.id, module))
        elif isinstance(base, ast.Name) and base.id == "ESPNow":
            found.update(inherited("ESPNow", "espnow"))
    found.update(signatures(classes[name]))
    return found


def fits(ours: ast.arguments, theirs: list[ast.arguments]) -> bool:
    """Whether every parameter of ours is one of theirs, at the same place if it is positional,
    and theirs asks for none that ours lacks.
    """
    positional: set[tuple[int, str]] = set()
    named: set[str] = set()
    anything = False
    for one in theirs:
        places = [*one.posonlyargs, *one.args]
        positional |= {(place, argument.arg) for place, argument in enumerate(places)}
        # A name before "/" cannot be given by name; here only the place counts for it.
        positional |= {(place, "*") for place in range(len(one.posonlyargs))}
        named |= {argument.arg for argument in [*one.args, *one.kwonlyargs]}
        anything = anything or one.kwarg is not None
    for place, argument in enumerate([*ours.posonlyargs, *ours.args]):
        if (place, argument.arg) not in positional and (place, "*") not in positional:
            return False
    if any(argument.arg not in named and not anything for argument in ours.kwonlyargs):
        return False
    names = {argument.arg for argument in [*ours.posonlyargs, *ours.args, *ours.kwonlyargs]}
    return any(required(one) <= len(names) for one in theirs) or ours.kwarg is not None


def required(one: ast.arguments) -> int:
    places = [*one.posonlyargs, *one.args]
    keywords = [
        argument
        for argument, default in zip(one.kwonlyargs, one.kw_defaults, strict=True)
        if default is None
    ]
    return len(places) - len(one.defaults) + len(keywords)


def drifts(name: str, source: str) -> Iterator[str]:
    """What the stand-in of module name has and its stub has not, or has otherwise."""
    stand_in = ast.parse(source)
    functions, classes = stub_of(name)
    for function, [ours] in signatures(stand_in).items():
        if function in OURS or function.startswith("_"):
            continue
        if function not in functions or not fits(ours, functions[function]):
            yield f"{name}.{function}"
    for part in stand_in.body:
        if not isinstance(part, ast.ClassDef) or part.name in OURS:
            continue
        if part.name not in classes:
            yield f"{name}.{part.name}"
            continue
        theirs = inherited(part.name, name)
        theirs["__new__"] = theirs.get("__init__", [])
        for method, [ours] in signatures(part).items():
            if method == "reset" and part.name == "WLAN":
                continue
            if method.startswith("_") and not method.endswith("__"):
                continue
            if method not in theirs or not fits(ours, theirs[method]):
                yield f"{name}.{part.name}.{method}"


@pytest.mark.parametrize("name", STUBBED)
def test_stand_ins_have_the_signatures_of_the_stubs(stubs: Path, name: str) -> None:
    assert list(drifts(name, (CHIP / f"{name}.py").read_text())) == []


@pytest.mark.parametrize(
    "name, right, wrong, told",
    [
        ("machine", "def feed(self)", "def feed(self, much)", "machine.WDT.feed"),
        ("machine", "def memory(self, data=None)", "def memory(self, a, b)", "machine.RTC.memory"),
        ("machine", "def freq(hz=None)", "def frequency(hz=None)", "machine.frequency"),
        ("machine", "class WDT", "class Watchdog", "machine.Watchdog"),
        ("network", "*, bssid=None", "*, mac=None", "network.WLAN.connect"),
        (
            "esp32",
            "def get_blob(self, key, buffer)",
            "def get_blob(self, key)",
            "esp32.NVS.get_blob",
        ),
        ("aioespnow", "def get_peers(self)", "def peers(self)", "aioespnow.AIOESPNow.peers"),
    ],
)
def test_a_stand_in_that_drifts_is_found(
    stubs: Path, name: str, right: str, wrong: str, told: str
) -> None:
    source = (CHIP / f"{name}.py").read_text()
    assert source.count(right) == 1
    assert list(drifts(name, source.replace(right, wrong))) == [told]


@pytest.mark.parametrize("name", STUBBED)
def test_numbers_of_the_stand_ins_are_those_of_the_stubs(stubs: Path, name: str) -> None:
    """Reset causes and power modes: a wrong one would make a right test of a wrong mapping."""
    module = ast.parse((CHIP / f"{name}.py").read_text())
    stub = ast.parse((stubs / f"{name}.pyi").read_text())
    theirs: dict[str, set[object]] = {}
    for holder in ast.walk(stub):
        if isinstance(holder, ast.AnnAssign) and isinstance(holder.value, ast.Constant):
            theirs.setdefault(ast.unparse(holder.target), set()).add(holder.value.value)
    for holder in ast.walk(module):
        if isinstance(holder, ast.Assign) and isinstance(holder.value, ast.Constant):
            target = ast.unparse(holder.targets[0])
            if target.isupper() and not target.startswith("_") and target != "RTC_BYTES":
                assert holder.value.value in theirs[target], target
