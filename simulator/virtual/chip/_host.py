"""The line from the interpreter to the board around it: supply, reset, air, clock, memory.

One JSON list a message. What tells something gets no answer; what asks is numbered, so that an
answer which a KeyboardInterrupt left behind is not taken for the next one.
"""

import json


class Host:
    def __init__(self, descriptor):
        self._file = open(descriptor, "r+b")  # noqa: SIM115 - for the whole life
        self._number = 0

    def tell(self, verb, value=None):
        self._file.write(json.dumps([verb, value, 0]) + "\n")

    def ask(self, verb, value=None):
        self._number += 1
        self._file.write(json.dumps([verb, value, self._number]) + "\n")
        while True:
            try:
                answer = json.loads(self._file.readline())
            except ValueError:
                continue
            if isinstance(answer, list) and answer[0] == self._number:
                return answer[1]

    def end(self, verb, value=None):
        """Tell it, and never come back: the board ends this interpreter."""
        self.tell(verb, value)
        while True:
            try:
                self._file.read(1)
            except KeyboardInterrupt:
                pass
