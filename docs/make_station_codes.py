"""Make gateway/board/station_codes.toml from the tables "Codes of a station" of the manual.

    python docs/make_station_codes.py

A code keeps the link that the file gives it; a new one gets that of its family, else `firmware`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
MANUAL = ROOT / "docs" / "troubleshooting.md"
TABLE = ROOT / "gateway" / "board" / "station_codes.toml"
HEAD = """\
# What a board says on its console, and what a person does about it: the tables of the chapter
# "Codes of a station" of docs/troubleshooting.md, which a test holds to this file, and the link of
# the chain (doctor.py) that each code is about. A code that ends with * stands for every code of
# its family that is not listed. Made by docs/make_station_codes.py.
"""
ROW = re.compile(r"(?m)^\| (`.*?) \| (.*?) \|(?: (.*?) \|)?$")
NAME = re.compile(r"`([a-z_0-9.]+)`")
LINKED = re.compile(r"\[([^]]+)\]\([^)]+\)")
# A row that names some codes of a family, and all that are named nowhere.
REST = "and other words"


def links() -> dict[str, str]:
    """The link of each code, and of each family."""
    found: dict[str, str] = {}
    for row in tomllib.loads(TABLE.read_text("utf-8"))["code"]:
        for code in row["codes"]:
            found[code] = row["link"]
            found.setdefault(code.split(".")[0], row["link"])
    return found


def quoted(text: str) -> str:
    """A TOML string of a cell of the manual, links without their addresses."""
    plain = LINKED.sub(r"\1", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def codes_of(cell: str) -> list[str]:
    """The codes that a row is about."""
    codes = [code + "*" if code.endswith(".") else code for code in NAME.findall(cell)]
    return [*codes, codes[0].split(".")[0] + ".*"] if REST in cell else codes


def main() -> None:
    known = links()
    parts = [HEAD]
    for cell, what, do in ROW.findall(MANUAL.read_text("utf-8").split("## Codes of a station")[1]):
        codes = codes_of(cell)
        link = known.get(codes[0]) or known.get(codes[0].split(".")[0], "firmware")
        named = ", ".join(quoted(code) for code in codes)
        parts.append(
            f"\n[[code]]\ncodes = [{named}]\nlink = {quoted(link)}\nwhat = {quoted(what)}\n"
            f"do = {quoted(do)}\n"
        )
    TABLE.write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
