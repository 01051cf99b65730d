"""The one exception for faults that the owner of a board can mend."""


class OperatorError(Exception):
    """What happened, why, what to do, and a stable code such as "config.interval"."""

    def __init__(self, code: str, what: str, why: str, do: str) -> None:
        super().__init__(what + ": " + why + ". " + do + " [" + code + "]")
        self.code = code
        self.what = what
        self.why = why
        self.do = do
