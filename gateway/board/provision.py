"""Setting up a station over its console: from what its owner wants to what the board stores.

The order makes a cut anywhere harmless: the owner's file with the salt first, then the whole
configuration, then the Wi-Fi; the same command again goes on from there.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gateway.board.answer import Answer
from gateway.board.console import BoardFacts, Console, StationFacts
from gateway.board.owner import owner_of, owner_proof
from gateway.board.place import Place, keep, kept, place_file
from gateway.core.ids import parse_device
from gateway.device.station_choice import Choice, Outfit, config_bytes, station_config
from gateway.device.station_config import StationConfig
from gateway.device.station_sensors import Entry, described, gives
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.onboarding import Onboarding

JOIN_MS = 40_000
_SSID_BYTES_MAX = 32
_PASSWORD_BYTES = range(8, 65)


class Person(Protocol):
    """Whoever sits before it: is told how far it is, and asked for what nobody named."""

    def step(self, text: str) -> None: ...

    def met(self, device: str) -> None:
        """Is told which board this is; may raise, if it is not the one that was meant."""

    def agree(self, statements: list[str], *, overwrites: bool) -> bool:
        """Shown what becomes public and what changes, before anything is written. overwrites: it
        was set up before.
        """

    def place(self) -> Place | None:
        """None: there is nobody to ask."""

    def wifi(self) -> "Wifi | None": ...


@dataclass(frozen=True, slots=True)
class Wifi:
    """A network to join; an open one has the password ""."""

    ssid: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is wanted of one board.

    place: None takes the one that the owner's file in `places` holds. owner, or owner_key: a key
    file. wifi: None keeps what the board has. join: whether it has to get into the Wi-Fi now.
    """

    outfit: Outfit
    places: Path
    place: Place | None = None
    owner: bytes | None = None
    owner_key: Path | None = None
    broker_password: Callable[[str], str | None] | None = None
    wifi: Wifi | None = None
    join: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done. changed: `config`, `wifi`; wifi: what the board said when it had joined."""

    facts: BoardFacts
    config: StationConfig
    place_file: Path
    proven: bool
    changed: tuple[str, ...]
    ssid: str | None
    wifi: dict[str, Any] | None

    def document(self, onboarding: Onboarding) -> dict[str, Any]:
        """As JSON: all of it public but the file's name."""
        config = self.config
        return {
            "device": self.facts.device,
            "public_key": self.facts.public_key.hex(),
            "firmware": self.facts.firmware,
            "network": onboarding.name,
            "network_id": onboarding.network_id,
            "scoring_cell": f"{config.scoring_cell:x}",
            "place_file": str(self.place_file),
            "owner": None if config.owner is None else f"0x{config.owner.hex()}",
            "owner_proven": self.proven,
            "sensors": [described(entry) for entry in config.sensors],
            "quantities": [list(pair) for pair in gives(config.sensors)],
            "sample_s": config.sample_interval_ms // 1000,
            "message_s": config.sample_interval_ms * config.samples_per_message // 1000,
            "changed": list(self.changed),
            "wifi": None if self.ssid is None else {"ssid": self.ssid},
            "joined": self.wifi,
        }


def provision(console: Console, onboarding: Onboarding, order: Order, person: Person) -> Outcome:
    """Set a board up. consent_missing: the person said no, and the board is as it was."""
    person.step("asking the board who it is")
    facts = console.whoami()
    person.met(facts.device)
    file = place_file(order.places, facts.device)
    place = _place(order, file, person)
    wifi = order.wifi
    if wifi is None and not facts.wifi:
        wifi = _asked_wifi(person)
    config, encoded = _config(onboarding, order, place, facts)
    same = facts.config is not None and facts.config.sha256 == _digest(encoded)
    changed = []
    if not same:
        told = _statements(place, facts, config, onboarding)
        if not person.agree(told, overwrites=facts.provisioned):
            raise not_agreed()
        keep(file, facts.device, place)
        person.step("storing the configuration")
        console.provision(encoded)
        changed.append("config")
    if wifi is not None:
        person.step("storing the Wi-Fi")
        console.wifi(wifi.ssid, wifi.password)
        changed.append("wifi")
    ssid = None if wifi is None else wifi.ssid
    joined = None
    if order.join:
        person.step("joining the Wi-Fi")
        joined = _join(console, ssid)
    proven = config.owner_proof is not None
    return Outcome(facts, config, file, proven, tuple(changed), ssid, joined)


def parse_wifi(ssid: str, password: str) -> Wifi:
    """OperatorFault wifi_invalid for what no access point could have."""
    if not 1 <= len(ssid.encode()) <= _SSID_BYTES_MAX:
        raise _wifi_invalid(
            f"A name takes 1 to {_SSID_BYTES_MAX} bytes, not {len(ssid.encode())}."
        )
    if password and len(password.encode()) not in _PASSWORD_BYTES:
        raise _wifi_invalid(f"A password has 8 to 63 characters, this one {len(password)}.")
    return Wifi(ssid, password)


def _asked_wifi(person: Person) -> Wifi:
    wifi = person.wifi()
    if wifi is None:
        raise OperatorFault(
            "The board knows no Wi-Fi.",
            "None is stored on it, and none was named.",
            "Name it with --wifi NAME; the password is asked for, or read from "
            "--wifi-password-file.",
            Code.WIFI_MISSING,
        )
    return wifi


def _place(order: Order, file: Path, person: Person) -> Place:
    """The owner's file has the salt: one place keeps one commitment."""
    stored = kept(file)
    wanted = order.place
    if wanted is None and stored is None:
        wanted = person.place()
        if wanted is None:
            raise OperatorFault(
                "Nobody said where the station stands.",
                f"There is no --place, and no file {file} of an earlier time.",
                "Give it as a map shows it, for instance --place 52.52000,13.40500",
                Code.PLACE_INVALID,
            )
    if stored is not None and (wanted is None or stored.same_as(wanted)):
        return stored
    assert wanted is not None, "one of the two is there"
    return wanted


def _config(
    onboarding: Onboarding, order: Order, place: Place, facts: BoardFacts
) -> tuple[StationConfig, bytes]:
    device = parse_device(facts.device)
    assert device is not None, "checked by the console"
    owner, proof = order.owner, None
    if order.owner_key is not None:
        owner = owner_of(order.owner_key)
        proof = owner_proof(order.owner_key, device, bytes.fromhex(onboarding.network_id))
    password = order.broker_password(facts.device) if order.broker_password else None
    choice = Choice(
        outfit=order.outfit,
        scoring_cell=place.cell,
        place_commitment=place.commitment,
        owner=owner,
        owner_proof=proof,
        broker_password=password,
    )
    config = station_config(onboarding, choice, device)
    return config, config_bytes(config)


def _statements(
    place: Place, facts: BoardFacts, config: StationConfig, onboarding: Onboarding
) -> list[str]:
    """What its owner has to agree to, a sentence each."""
    told = [f"Board {facts.device} joins the network {onboarding.name}.", place.public()]
    if facts.config is not None:
        told.append("The board is set up already. This changes:")
        told += [
            f"  {name}: {old} -> {new}"
            for name, old, new in differences(facts.config, config, onboarding.network_id)
        ]
        if facts.config.network != onboarding.network_id:
            told.append(
                "What it signed for the other network is given up: it waits some ten minutes for "
                "this gateway to say that it knows no other message of it."
            )
        if facts.config.cell != f"{config.scoring_cell:x}":
            told.append("A move takes effect with the next epoch and resets proof and seniority.")
    return told


def differences(
    old: StationFacts, new: StationConfig, network_id: str
) -> list[tuple[str, str, str]]:
    """(what, as it is, as it would be), of what a board tells of its configuration. network_id:
    of the new one.
    """
    tls = " with TLS" if new.broker_ca is not None else ""
    pairs = [
        ("network", old.network, network_id),
        ("scoring cell", old.cell, f"{new.scoring_cell:x}"),
        ("owner", _owner(old.owner), _owner(None if new.owner is None else new.owner.hex())),
        ("broker", old.broker, f"{new.broker_host}:{new.broker_port}{tls}"),
        ("time", old.time, f"{new.time_host}:{new.time_port}"),
        ("sensors", _sensors(old.sensors), _sensors(tuple(new.sensors))),
    ]
    found = [(name, one, other) for name, one, other in pairs if one != other]
    return found or [("other settings", "as stored", "as asked for")]


def _owner(digits: str | None) -> str:
    return "none" if digits is None else "0x" + digits.lower().removeprefix("0x")


def _sensors(entries: tuple[Entry, ...]) -> str:
    return " ".join(described(entry) for entry in entries) or "none"


def _join(console: Console, ssid: str | None) -> dict[str, Any]:
    answer = console.join(JOIN_MS)
    if not answer.ok:
        raise not_joined(answer, ssid)
    return {name: answer.facts.get(name) for name in ("address", "rssi_dbm")}


def not_joined(answer: Answer, ssid: str | None) -> OperatorFault:
    """Why a board did not get into the Wi-Fi, by its own code."""
    name = "its Wi-Fi" if ssid is None else f"the Wi-Fi {ssid!r}"
    kept_words = "The configuration is stored and stays."
    said = f" (It said: {answer.detail.rstrip('.')}.)" if answer.detail else ""
    if answer.code == "wifi.password":
        return OperatorFault(
            f"The board was turned away by {name}.",
            f"The password is wrong. {kept_words}{said}",
            "Run it again with the right password; capitals count.",
            Code.WIFI_PASSWORD,
        )
    if answer.code == "wifi.unknown":
        return OperatorFault(
            f"The board does not see {name}.",
            f"It is out of reach, misspelt, or sends on 5 GHz only. {kept_words}{said}",
            "Run it again with the right name, or nearer to the access point; with --no-join if "
            "that network is elsewhere.",
            Code.WIFI_UNKNOWN,
        )
    return OperatorFault(
        f"The board did not get into {name}.",
        f"It tried, and got no connection or no address. {kept_words}{said}",
        "Bring it nearer, or restart the access point, and run it again.",
        Code.WIFI_NOT_CONNECTED,
    )


def _digest(encoded: bytes) -> str:
    return hashlib.sha256(encoded).hexdigest()


def _wifi_invalid(why: str) -> OperatorFault:
    return OperatorFault(
        "This is no Wi-Fi that a board could join.",
        why,
        "Write name and password as the access point shows them.",
        Code.WIFI_INVALID,
    )


def not_agreed() -> OperatorFault:
    """The fault of a person who said no, or of nobody who could say yes."""
    return OperatorFault(
        "Nothing was changed.",
        "What becomes public, and what changes, was not agreed to.",
        "Answer yes, or give --yes where nobody can be asked.",
        Code.CONSENT_MISSING,
    )
