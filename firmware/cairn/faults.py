"""What went wrong in this boot: stable codes, counted, and told to a human now and then."""

from . import limits

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board


class Faults:
    """rows: (code, how often, ticks when the board was told) of the newest codes. Whoever floods
    a station with garbage fills neither its memory nor its console.
    """

    def __init__(self, board: "Board") -> None:
        self._board = board
        self.rows: "list[tuple[str, int, int]]" = []

    def note(self, code: str, detail: str = "") -> None:
        """Count it; the board reports it the first time and at most once a minute from there."""
        now = self._board.ticks()
        for index, (known, count, told) in enumerate(self.rows):
            if known == code:
                again = now - told >= limits.FAULT_AGAIN_MS
                self.rows[index] = (code, count + 1, now if again else told)
                if again:
                    self._board.report(code, "%s (%d times)" % (detail, count + 1))
                return
        self.rows = self.rows[1 - limits.FAULTS_MAX :] + [(code, 1, now)]
        self._board.report(code, detail)
