"""Runs inside MicroPython: the case file that /case.json names, then one line of JSON on it.

A class at a time, with a return to the event loop between them: this build frees memory only then.
"""

import asyncio
import json
import sys
import unittest

sys.path.insert(0, "/lib")
sys.path.insert(0, "/cases")

with open("/case.json") as file:  # noqa: PTH123 - MicroPython has no pathlib
    name = json.load(file)

module = __import__(name)
told = {"ran": 0, "failed": 0, "skipped": 0}
for case in list(module.__dict__.values()):
    if isinstance(case, type) and issubclass(case, unittest.TestCase):
        suite = unittest.TestSuite()
        suite.addTest(case)
        result = unittest.TextTestRunner().run(suite)
        told["ran"] += result.testsRun
        told["failed"] += result.failuresNum + result.errorsNum
        told["skipped"] += result.skippedNum
        await asyncio.sleep(0)  # noqa: F704, PLE1142 - the top level may await there
print(json.dumps(told))  # noqa: T201 - its output is its result
