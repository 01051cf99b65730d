"""Reading a rule file: its tables key by key, so that what is left over can be refused.

It knows TOML and types, not what a rule means; rules.py and evidence_rules.py do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.core.faults import CoreFault

PPM = 1_000_000
_DIGITS_MAX = 78  # of 2**256, the largest amount that a claim can carry
_INTEGER_MAX = 2**63 - 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RulesError(CoreFault):
    """A rule file that cannot be used."""


class Section:
    """A TOML table whose keys are taken one by one, so that leftovers can be refused."""

    def __init__(self, name: str, table: Mapping[str, object]) -> None:
        self._name = name
        self._rest = dict(table)

    def section(self, key: str) -> Section:
        value = self._take(key)
        if not isinstance(value, dict):
            raise self._bad(key, "is not a table", f"Write it as [{key}]")
        return Section(f"[{key}]", value)

    def integer(self, key: str, low: int, high: int = _INTEGER_MAX) -> int:
        value = self._take(key)
        if type(value) is not int or not low <= value <= high:
            raise self._bad(key, f"is {value!r:.80}", f"Give an integer of {low} to {high}")
        return value

    def ppm(self, key: str) -> int:
        return self.integer(key, 0, PPM)

    def text(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str):
            raise self._bad(key, f"is {value!r:.80}", "Give it in quotation marks")
        return value

    def sha256(self, key: str) -> bytes:
        text = self.text(key)
        if not _SHA256.fullmatch(text):
            raise self._bad(key, f"is {text!r:.80}", "Give 64 hex digits in lower case")
        return bytes.fromhex(text)

    def amount(self, key: str) -> int:
        return self._amount(key, self._take(key))

    def amounts(self, key: str) -> tuple[int, ...]:
        return tuple(self._amount(key, value) for value in self._list(key))

    def falling(self, key: str) -> tuple[int, ...]:
        """Positive integers, none above the one before it."""
        values = self._list(key)
        slopes = tuple(value for value in values if type(value) is int and value > 0)
        if len(slopes) != len(values) or list(slopes) != sorted(slopes, reverse=True):
            raise self._bad(
                key,
                "has a slope that is no positive integer, or that rises",
                "A rising slope would pay for splitting: list them falling",
            )
        return slopes

    def rising(self, key: str, high: int, *, length_max: int) -> tuple[int, ...]:
        """At most length_max positive integers up to high, each above the one before it."""
        values = self._list(key)
        steps = tuple(v for v in values if type(v) is int and 0 < v <= high)
        risen = list(steps) == sorted(set(steps))
        if len(steps) != len(values) or not risen or len(steps) > length_max:
            do = f"Give at most {length_max} rising integers of 1 to {high}"
            raise self._bad(key, f"is {values!r:.80}", do)
        return steps

    def sections(self, key: str) -> list[Section]:
        """An array of tables; none if the key is absent."""
        values = self._rest.pop(key, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self._bad(key, "is not an array of tables", f"Write each one as [[{key}]]")
        return [Section(f"{self._name} {key}", value) for value in values]

    def finish(self) -> None:
        if self._rest:
            raise RulesError(
                f"{self._name} has the unknown key {min(self._rest)!r:.80}",
                "a rule that this software does not apply must not look as if it were in force",
                "Correct the spelling, or use the software that these rules were made for",
                "rules_unknown_key",
            )

    def _take(self, key: str) -> object:
        if key not in self._rest:
            raise RulesError(
                f"{self._name} lacks the key {key!r}",
                "no rule has a default: two gateways could differ in it",
                f"Add {key}; spec/rules/0001.toml shows every key with its unit",
                "rules_missing_key",
            )
        return self._rest.pop(key)

    def _list(self, key: str) -> list[object]:
        value = self._take(key)
        if not isinstance(value, list) or not value:
            raise self._bad(key, f"is {value!r:.80}", "Give a list with at least one entry")
        return value

    def _amount(self, key: str, value: object) -> int:
        text = value if isinstance(value, str) else ""
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
            do = "Give base units as decimal digits in quotation marks"
            raise self._bad(key, f"is {value!r:.80}", do)
        return int(text)

    def _bad(self, key: str, why: str, do: str) -> RulesError:
        return RulesError(f"{self._name} {key} cannot be used", f"it {why}", do, "rules_bad_value")
