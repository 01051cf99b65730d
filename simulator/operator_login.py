"""The operator's login of a run over MQTT, and the passwords that its broker takes.

At our own endpoint operator and boards sign their logins. Any other broker refuses that; then all
passwords are derived from the network's secret, if it has one.
"""

from __future__ import annotations

import time

from simulator.control import Control
from simulator.counterpart import Counterpart, FleetHalted, Target
from simulator.wire import Wire

PUMP_S = 0.25


class OperatorLogin:
    """control: the connection on which slots begin."""

    def __init__(self, wire: Wire, target: Target, counterpart: Counterpart) -> None:
        self._wire = wire
        self._target = target
        self._counterpart = counterpart
        self._derived = False
        topic = f"cairn/1/{counterpart.network_id.hex()}/control/tick"
        self.control = Control(wire, target.address, topic, self._next)

    def password_of(self, device: str) -> str | None:
        """What a board logs in with; None: it signs."""
        return self._counterpart.password_of(device) if self._derived else None

    def log_in(self, within_s: float) -> None:
        """Connect; FleetHalted if that is not possible."""
        control = self.control
        control.start()
        deadline_s = time.monotonic() + within_s
        while not control.up:
            self._wire.pump(PUMP_S)
            if control.refused is not None:
                if self._derived or self._counterpart.password_of("operator") is None:
                    break
                self._derived, control.refused = True, None
            if time.monotonic() > deadline_s:
                break
        if not control.up:
            raise FleetHalted(
                f"The operator cannot connect to {self._target.url}.",
                f"{control.failure or 'It does not answer'}.",
                "Start the gateway (`cairn gateway run`), and give --broker and --network of one "
                "network.",
            )

    def _next(self) -> tuple[str, str]:
        if self._derived:
            return "operator", self._counterpart.password_of("operator") or ""
        return self._counterpart.operator_login()
