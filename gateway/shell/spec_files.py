"""Finds the files of spec/ that are needed at run time, in a checkout and in an installed wheel.

It knows where they are, not what is in them.
"""

from pathlib import Path, PurePosixPath

_SHIPPED = Path(__file__).parents[1] / "spec"
_CHECKOUT = Path(__file__).parents[2] / "spec"


def spec_path(name: str) -> Path:
    """Path of a file or directory under spec/, named with slashes, e.g. `rules/0001.toml`.

    A wheel carries everything but the test vectors, as gateway/spec. FileNotFoundError means a
    broken installation or a caller's typing error, never an operator's mistake.
    """
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise ValueError(f"not a name under spec/: {name!r}")
    # Shipped first: beside an installed gateway, ../../spec would be somebody else's package.
    base = _SHIPPED if _SHIPPED.is_dir() else _CHECKOUT
    path = base / relative
    if not path.exists():
        raise FileNotFoundError(f"{name} is not among the specification files in {base}")
    return path


def read_spec(name: str) -> bytes:
    """Bytes of one file under spec/; raises as `spec_path` does."""
    return spec_path(name).read_bytes()
