"""Machines for the tests: a kernel, or a skip that names the program that is not installed."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from simulator.machine.faults import MachineError

Made = TypeVar("Made")


def or_skip(make: Callable[..., Made], *args: object, **options: object) -> Made:
    """What make returns; its absence is a skip, which fails under `CI=true`."""
    try:
        return make(*args, **options)
    except MachineError as error:
        if error.code.endswith("_missing"):
            pytest.skip(f"component missing: {error}")
        raise
