"""Imports every module that /modules.json names, on MicroPython, and writes the names."""

import json
import sys
from pathlib import Path

sys.path.insert(0, "/lib")
for name in json.loads(Path("/modules.json").read_text()):
    sys.stdout.write(name + "\n")  # first, so that a failure's output ends with its module
    __import__(name)
