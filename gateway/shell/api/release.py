"""When a value may be seen: never before its release time, through no outlet (protocol 10.3).

Which rules say so depends on the day, so this reads the operator log. It knows no HTTP.
"""

import threading

from gateway.core.genesis import DAY_MS
from gateway.core.operator import OperatorEvent, open_operator_event
from gateway.core.quality import release_ms
from gateway.core.rules import Rules
from gateway.core.statements import open_statement
from gateway.core.verdicts import Verdict
from gateway.shell.epochs import load_rules, rules_named
from gateway.shell.network import Network
from gateway.shell.store.base import Store

_DAYS_BACK_MAX = 3


class Releases:
    """The rules of every day, as far as the operator log of the last `follow` says."""

    def __init__(self, network: Network) -> None:
        self._network = network
        opened = [
            open_statement(data, network.network_id, network.genesis.root_key)
            for data in network.statements
        ]
        self._statements = [one for one in opened if not isinstance(one, Verdict)]
        self._events: list[OperatorEvent] = []
        self._read = 0
        self._rules: dict[bytes, Rules] = {}
        self._lock = threading.Lock()

    def follow(self, store: Store) -> None:
        """Take in operator events that are new in the store."""
        with self._lock:
            length = store.operator_head().length
            for data in store.events(self._read, length):
                event = open_operator_event(data, self._network.network_id, self._statements)
                if not isinstance(event, Verdict):
                    self._events.append(event)
            self._read = max(self._read, length)

    def rules(self, epoch: int) -> Rules:
        """The rules of a day; OperatorFault if they cannot be had."""
        with self._lock:
            _, digest = rules_named(self._network, self._events, epoch)
            if digest not in self._rules:
                self._rules[digest] = load_rules(self._network, digest)[1]
            return self._rules[digest]

    def released(self, time_ms: int, now_ms: int) -> bool:
        """Whether a value measured at time_ms may be seen at protocol time now_ms."""
        return self.release_ms(time_ms) <= now_ms

    def release_ms(self, time_ms: int) -> int:
        return release_ms(time_ms, self.rules(time_ms // DAY_MS))

    def released_to(self, now_ms: int) -> int:
        """The time before which everything is released; behind it nothing is."""
        today = now_ms // DAY_MS
        day = max(today, 0)
        for day in range(today, max(today - _DAYS_BACK_MAX, -1), -1):
            rule = self.rules(day).release
            to_ms = (now_ms - rule.grace_ms) // rule.window_ms * rule.window_ms
            if to_ms >= day * DAY_MS:
                return min(to_ms, (day + 1) * DAY_MS)
        return day * DAY_MS
