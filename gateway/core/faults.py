"""What the core raises: an operator's fault, never anything that a station sent."""

from __future__ import annotations


class CoreFault(Exception):  # noqa: N818 - a fault of the operator, no error of ours
    """what went wrong, why, what to do (sentences without their stop), and a stable code."""

    def __init__(self, what: str, why: str, do: str, code: str) -> None:
        super().__init__(f"{what}: {why}. {do}")
        self.what = what
        self.why = why
        self.do = do
        self.code = code
