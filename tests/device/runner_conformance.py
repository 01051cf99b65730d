"""Runs inside MicroPython: the cases that every board must pass, on the runner's board.

`conformance` is tests/unit/firmware/conformance.py without its imports for the type checker.
"""

import json
import sys
from io import StringIO

import conformance
from cairn.boards.directory_files import DirectoryFiles

made = []
results = {}


def make_files():
    made.append(1)
    return DirectoryFiles("/flash/case" + str(len(made)))


async def run_case(group, case, *arguments):
    try:
        going = case(*arguments)
        if group != "FILES":
            await going
        results[group + "." + case.__name__] = ""
    except Exception as error:  # noqa: BLE001 - every case is to be told
        text = StringIO()
        sys.print_exception(error, text)
        results[group + "." + case.__name__] = text.getvalue()


async def run(board):
    with open("/lib/echo.json") as file:  # noqa: ASYNC230, PTH123 - MicroPython has no other
        host, port = json.load(file)
    for case in conformance.FILES:
        await run_case("FILES", case, make_files)
    for case in conformance.EVENTS:
        await run_case("EVENTS", case, board)
    for case in conformance.BOARDS:
        await run_case("BOARDS", case, board)
    for case in conformance.STREAMS:
        await run_case("STREAMS", case, board, host, port)
    print("RESULTS", json.dumps(results))  # noqa: T201 - a happening of the runner
