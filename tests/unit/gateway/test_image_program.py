"""The build-time pass keeps what a program does, and takes out what it promises to."""

import json
import subprocess
import sys
import textwrap

import pytest

from gateway.device.minify import minify
from gateway.device.program import Unlinkable

RUN = "import json, sys; sys.path.insert(0, sys.argv[1]); from cairn.main import run; "
RUN += "print(json.dumps(run()))"


def write(folder, texts):
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    # A regular package, or the one that is installed would come first.
    (folder / "cairn" / "__init__.py").write_text("")


def result_of(folder):
    done = subprocess.run(
        [sys.executable, "-I", "-c", RUN, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def small(texts, overlays=None):
    return minify(texts, doors={"cairn.main": ("run",)}, overlays=overlays or {})


def modules(**sources):
    return {f"cairn/{name}.py": textwrap.dedent(text) for name, text in sources.items()}


SHAPES = modules(
    limits="""
        SIDES_MAX = 1 << 3
        NAMES = ("square", "line")
        LONG = "a text that is longer than ten characters"
        unused = 7
    """,
    shapes='''
        """Shapes."""
        from . import limits
        from .faults import ShapeError

        TYPE_CHECKING = False
        if TYPE_CHECKING:
            from typing import Any
        else:
            Base = object

        class Shape(Base):
            """A shape."""
            def __init__(self, sides: int, *, name: "str" = "none", scale: int = 1) -> None:
                if sides > limits.SIDES_MAX:
                    raise ShapeError("sides", limit=limits.SIDES_MAX)
                self._sides = sides
                self.name = name
                self._scale: "int | None" = scale

            def _area(self) -> int:
                return self._sides * (self._scale or 1)

            def grown(self, by: int, *, twice: bool = False) -> "Shape":
                def scaled(times, by=by):
                    return self._scale * times + by
                return Shape(self._sides, scale=scaled(2 if twice else 1), name=self.name + "+")

            def area(self) -> int:
                return self._area()

            @property
            def label(self) -> str:
                return "%s:%d" % (self.name, self._area())

            def never_called(self):
                raise NotImplementedError

        class Other:
            def __init__(self):
                self._area = lambda sides: [sides * k for k in range(3) if k != 1]

            def area(self):
                return self._area(4)
    ''',
    faults="""
        class ShapeError(ValueError):
            def __init__(self, code, limit=0):
                super().__init__(code)
                self.code = code
                self.limit = limit
    """,
    rare="""
        from .faults import ShapeError
        from . import limits

        def check(shape):
            try:
                for index, name in enumerate(limits.NAMES):
                    if name == shape.name:
                        return index, _text(name)
                raise ShapeError("name", len(shape.name))
            except ShapeError as error:
                return error.code, error.limit
            finally:
                pass

        def _text(name):
            return {key: value for key, value in zip(name, range(9))}
    """,
    main="""
        from . import limits
        from .faults import ShapeError
        from .overlay import borrow
        from .shapes import Other, Shape
        import struct
        from hashlib import sha256

        _COUNT = [0]

        def run():
            from . import rare
            _COUNT[0] += 1
            found = []
            shape = Shape(4, name="square")
            for one in (shape, shape.grown(3), shape.grown(twice=True, by=2)):
                found += [one.area(), one.label, rare.check(one)]
            found.append(Other().area())
            try:
                Shape(limits.SIDES_MAX + 1)
            except ShapeError as error:
                found.append((error.code, error.limit, str(error)))
            calls = [make(2) for make in (_adder(1), _adder(10))]
            found += [calls, struct.pack(">H", 258).hex(), limits.LONG]
            found.append(sha256(b"x").hexdigest()[:8])
            found.append(borrow("rare").check(Shape(1, name="line")))
            return found + [_COUNT[0]]

        def _adder(by):
            return lambda value: value + by
    """,
    overlay="""
        import sys
        def borrow(name):
            return __import__("cairn." + name, None, None, (name,))
    """,
)
OVERLAYS = {
    "x": ("rare:*", "shapes:Shape.grown", "shapes:Shape.__init__"),
    "y": ("shapes:Shape.label", "shapes:Other.*", "main:_adder"),
}


@pytest.mark.parametrize("overlays", [{}, OVERLAYS], ids=["one module", "overlays"])
def test_the_small_program_does_the_same(tmp_path, overlays):
    write(tmp_path / "plain", SHAPES)
    made = small(SHAPES, overlays)
    write(tmp_path / "small", made.texts)
    assert result_of(tmp_path / "small") == result_of(tmp_path / "plain")
    assert ("x.py" in made.texts) == bool(overlays)


def test_what_nothing_reaches_is_not_there():
    made = small(SHAPES)
    names = {old for module in made.names.values() for old in module.values()}
    assert "cairn.limits:unused" not in names
    assert not any("never_called" in name for name in names)
    assert "cairn.faults:ShapeError" in names


def test_the_names_tell_what_a_traceback_means():
    made = small(SHAPES, OVERLAYS)
    in_x = set(made.names["x"].values())
    assert {"cairn.rare:check", "cairn.shapes:Shape.grown"} <= in_x
    for module, names in made.names.items():
        for new in names if module != "attributes" else ():
            assert new in made.texts[f"{module}.py"]


def test_no_docstring_and_no_annotation_is_left():
    text = "".join(small(SHAPES, OVERLAYS).texts.values())
    assert '"""' not in text
    assert "->" not in text


REFUSED = {
    "a global statement": "X = 1\ndef run():\n    global X\n    X = 2\n",
    "a call at import": "def run():\n    return 1\nrun()\n",
    "an unknown module": "from . import absent\ndef run():\n    return absent.x\n",
    "an unknown name": "from .other import absent\ndef run():\n    return absent\n",
    "two definitions": "def run():\n    return 1\ndef run():\n    return 2\n",
    "two names at once": "A, B = (lambda: (1, 2))()\ndef run():\n    return A\n",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_it_does_not_understand_it_refuses(text):
    with pytest.raises(Unlinkable):
        small({"cairn/main.py": text, "cairn/other.py": "x = 1\n"})
