"""The doctor's checks. Each returns what it saw, or raises Failed; none depends on being run.

What an earlier check has opened is kept in `Examined`.
"""

import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gateway.core.cose import Role
from gateway.core.ids import device_id, device_name
from gateway.core.statements import KeyStatement, open_statement
from gateway.core.verdicts import Verdict
from gateway.shell.broker import client_id
from gateway.shell.doctor_probes import Caller, ask_http, ask_mqtt, ask_time
from gateway.shell.entropy import entropy_secret
from gateway.shell.errors import OperatorFault
from gateway.shell.lock import ADDRESSES, Addresses, is_held, running
from gateway.shell.network import DATABASE, ENTROPY_SECRET, Network, load_keys, load_network
from gateway.shell.opening import open_statements
from gateway.shell.secret_files import API_KEY, read_secret
from gateway.shell.settings import Loaded
from gateway.shell.station_look import StationLook, look_at_stations
from gateway.shell.store.sqlite import SqliteStore

_WRITTEN_BYTES = 65_536
_NAMES_SHOWN_MAX = 20


class Failed(Exception):  # noqa: N818 - a finding, not an error
    """What is wrong, why it matters, what to do next."""

    def __init__(self, what: str, why: str, do: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do


@dataclass(frozen=True, slots=True)
class Passed:
    what: str
    why: str = ""
    do: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Not applicable, or it cannot be known."""

    what: str
    why: str = ""
    do: str = ""


@dataclass(slots=True)
class Examined:
    """What is being looked at, and what was opened on the way."""

    loaded: Loaded
    wall_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    network: Network | None = None
    store: SqliteStore | None = None
    addresses: Addresses | None = None

    @property
    def folder(self) -> Path:
        return self.loaded.settings.data_dir

    def close(self) -> None:
        if self.store is not None:
            self.store.close()


def network(seen: Examined) -> Passed:
    try:
        seen.network = load_network(seen.folder)
    except OperatorFault as fault:
        raise _from(fault) from fault
    genesis = seen.network.genesis
    for data in seen.network.statements:
        found = open_statement(data, seen.network.network_id, genesis.root_key)
        if isinstance(found, Verdict):
            raise Failed(
                f"A key statement in {seen.folder} does not hold ({found.name.lower()}).",
                "No board would believe what the gateway signs.",
                "Restore statements.cbor from your copy.",
            )
    simulated = ", simulated" if genesis.simulated else ""
    return Passed(f"{genesis.name}, {seen.network.network_id.hex()}{simulated}")


def keys(seen: Examined) -> Passed:
    """Present, private, whole, and those that the statements name."""
    try:
        opened = load_keys(seen.folder, seen.loaded.keys_dir)
        # Says that the gateway key is another one than its statement's.
        statements = open_statements(opened)
        if (seen.loaded.keys_dir / API_KEY).exists():
            read_secret(seen.loaded.keys_dir / API_KEY, "the API key")
        if (seen.loaded.keys_dir / ENTROPY_SECRET).exists():
            entropy_secret(seen.loaded.keys_dir)
    except OperatorFault as fault:
        raise _from(fault) from fault
    kid = device_id(bytes(opened.operator.verify_key))
    if not any(one.role is Role.OPERATOR and one.kid == kid for one in statements):
        raise Failed(
            f"The operator key in {seen.loaded.keys_dir} is in no key statement.",
            "Its events would be refused.",
            "Restore operator.key, or statements.cbor, from your copy.",
        )
    return Passed(f"gateway and operator key in {seen.loaded.keys_dir}")


def disk(seen: Examined) -> Passed:
    least = seen.loaded.settings.disk_free_bytes_min
    free = shutil.disk_usage(seen.folder).free
    if free < least:
        raise Failed(
            f"{free} bytes are free on the disk of {seen.folder}; {least} are wanted.",
            "A message that cannot be stored is not acknowledged: boards keep it and try again.",
            f"Make room, or lower disk_free_bytes_min. `du -sh {seen.folder}/*` says what is big.",
        )
    probe = seen.folder / f".doctor-{secrets.token_hex(4)}"
    try:
        with probe.open("xb") as file:
            file.write(bytes(_WRITTEN_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Failed(
            f"{seen.folder} cannot be written: {error.strerror}.",
            "A message that cannot be stored is not acknowledged: boards keep it and try again.",
            f"Make room or correct the rights. `df -h {seen.folder}` shows the disk.",
        ) from error
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return Passed(f"{free} bytes free on the disk of {seen.folder}")


def database(seen: Examined) -> Passed | Skipped:
    assert seen.network is not None
    path = seen.folder / DATABASE
    if not path.exists():
        return Skipped("there is none yet", "no gateway has run here", "`cairn gateway run`")
    settings = seen.loaded.settings
    try:
        seen.store = SqliteStore.open(
            path, seen.network.network_id, busy_timeout_ms=settings.store_busy_timeout_ms
        )
        length = seen.store.admission_head().length
        # Both ends of the log: a full walk is what starting the gateway does.
        for _ in seen.store.iterate(max(length - 1, 0)):
            pass
    except OperatorFault as fault:
        raise _from(fault) from fault
    return Passed(f"{length} messages, {len(seen.store.epoch_numbers())} closed epochs")


def clock(seen: Examined) -> Passed | Skipped:
    """Against what was stored and stated, which needs no network, then against a time server."""
    assert seen.network is not None
    server = seen.loaded.settings.time_server
    if not seen.network.genesis.simulated:
        _check_against_log(seen)
        _check_against_statement(seen)
        if server is None:
            return Passed(
                f"{_utc(seen.wall_ms)}, behind nothing that is stored",
                "there is no time_server to compare it with",
            )
    elif server is None:
        return Skipped("a simulated network keeps its own time")
    offset_ms = ask_time(server)
    if isinstance(offset_ms, str):
        return Skipped(
            f"the time server {server} does not answer", offset_ms, "Check the setting time_server"
        )
    most = seen.loaded.settings.clock_offset_ms_max
    if abs(offset_ms) > most:
        raise _clock_off(f"The clock is {_off(offset_ms)}, as {server} tells; at most {most} ms.")
    return Passed(f"{_off(offset_ms)}, as {server} tells")


def gateway(seen: Examined) -> Passed | Skipped:
    seen.addresses = running(seen.folder)
    if seen.addresses is None:
        if is_held(seen.folder):
            return Skipped("it starts or stops just now", "", "Try again in a moment")
        return Skipped("none runs here", "", "`cairn gateway run`")
    url = f"{seen.addresses.http}/health"
    answer = ask_http(url)
    if isinstance(answer, str):
        raise Failed(
            f"Process {seen.addresses.pid} holds {seen.folder} and does not answer at {url}.",
            f"{answer}.",
            "Read its log; then stop it and run `cairn gateway run`.",
        )
    status, said = answer
    if status != 200:
        bad = [one for one in _checks(said) if not one.get("ok")]
        raise Failed(
            f"The gateway at {url} says that it cannot go on.",
            "; ".join(f"{one.get('name')}: {one.get('detail')}" for one in bad) or f"{status}",
            " ".join(str(one.get("do")) for one in bad) or "Read its log, then restart it.",
        )
    return Passed(f"process {seen.addresses.pid}, {seen.addresses.http}")


def mqtt(seen: Examined) -> Passed | Skipped:
    """The way by which messages come: an external broker, or the gateway's own endpoint."""
    settings = seen.loaded.settings
    if seen.addresses is not None and seen.addresses.mqtt == settings.broker_url:
        # To connect under the gateway's name would throw the gateway out.
        return _as_the_gateway_sees_it(seen.addresses)
    if seen.addresses is not None:
        url = seen.addresses.mqtt
        problem = ask_mqtt(url, Caller("doctor"))
        if problem:
            raise _mqtt_down(url, problem, "Read the gateway's log, and restart it.")
        return Passed(f"{url} answers")
    if settings.broker_url is None:
        return Skipped("the gateway listens for boards itself, when it runs")
    assert seen.network is not None
    try:
        file = settings.broker_password_file
        password = None if file is None else read_secret(file, "the broker's password")
    except OperatorFault as fault:
        raise _from(fault) from fault
    name = client_id(seen.network.network_id)
    caller = Caller(name, settings.broker_user, password, settings.broker_ca_file)
    problem = ask_mqtt(settings.broker_url, caller)
    if problem:
        raise _mqtt_down(
            settings.broker_url,
            problem,
            "Start it, or correct broker_url, broker_user, broker_password_file, broker_ca_file.",
        )
    return Passed(f"{settings.broker_url} lets {settings.broker_user} in")


def entropy(seen: Examined) -> Passed | Skipped:
    """Whether the running gateway published the entropy of the present slot."""
    if seen.addresses is None:
        return Skipped("no gateway runs here")
    answer = ask_http(f"{seen.addresses.http}/health")
    if isinstance(answer, str):
        return Skipped("the gateway did not say", answer)
    for one in _checks(answer[1]):
        if one.get("name") == "entropy":
            if one.get("ok"):
                return Passed(f"{one.get('detail')}")
            raise Failed(
                f"The entropy of the present slot is not published: {one.get('detail')}.",
                "Beacons cannot be drawn without it: stations prove no coverage in these minutes.",
                "Read the gateway's log: lines of `entropy`, `void_slots` and of the broker.",
            )
    return Skipped("the gateway did not say")


def stations(seen: Examined) -> Passed | Skipped:
    if seen.store is None or seen.network is None:
        return Skipped("there is no database yet")
    found = look_at_stations(seen.store, seen.network)
    if not found.stations or found.newest_ms is None:
        return Skipped("none has registered")
    # Without a gateway nobody could be heard: then it is as late as when one last was.
    now_ms, since_ms = found.newest_ms, 0
    if seen.addresses is not None and not seen.network.genesis.simulated:
        now_ms, since_ms = seen.wall_ms, _started_ms(seen.folder)
    limit = seen.loaded.settings.stale_intervals_max
    silent = [
        one
        for one in found.stations.values()
        if now_ms - max(one.last_ms or 0, since_ms) > limit * one.reporting_interval_ms > 0
    ]
    if silent:
        shown = silent[:_NAMES_SHOWN_MAX]
        names = ", ".join(f"{device_name(one.device)} ({_silence(one)})" for one in shown)
        more = f" and {len(silent) - _NAMES_SHOWN_MAX} more" * (len(silent) > _NAMES_SHOWN_MAX)
        raise Failed(
            f"Silent for more than {limit} of their intervals: {names}{more}.",
            "They have lost power, network or this gateway's address, or cannot log in.",
            f"`cairn station show {device_name(silent[0].device)}`",
        )
    return Passed(f"{len(found.stations)}, none silent for more than {limit} of its intervals")


def _check_against_log(seen: Examined) -> None:
    if seen.store is None:
        return
    length = seen.store.admission_head().length
    for entry in seen.store.entries(length - 1, length) if length else ():
        ahead_ms = entry.recv_ms - seen.wall_ms
        if ahead_ms > seen.loaded.settings.clock_offset_ms_max:
            raise _clock_off(
                f"The clock says {_utc(seen.wall_ms)}; a message was stored at "
                f"{_utc(entry.recv_ms)}."
            )


def _check_against_statement(seen: Examined) -> None:
    assert seen.network is not None
    root_key = seen.network.genesis.root_key
    for data in seen.network.statements:
        stated = open_statement(data, seen.network.network_id, root_key)
        if isinstance(stated, KeyStatement) and stated.role is Role.GATEWAY:
            if stated.not_before_ms <= seen.wall_ms < stated.not_after_ms:
                return
            raise _clock_off(
                f"The clock says {_utc(seen.wall_ms)}; the gateway's key is in force from "
                f"{_utc(stated.not_before_ms)} to {_utc(stated.not_after_ms)}."
            )


def _as_the_gateway_sees_it(addresses: Addresses) -> Passed | Skipped:
    answer = ask_http(f"{addresses.http}/ready")
    if isinstance(answer, str):
        return Skipped("the gateway did not say", answer)
    for one in _checks(answer[1]):
        if one.get("name") == "source":
            if one.get("ok"):
                return Passed(f"the gateway is connected: {one.get('detail')}")
            raise _mqtt_down(addresses.mqtt, str(one.get("detail")), "Start the broker.")
    return Skipped("the gateway did not say")


def _checks(said: object) -> list[dict[str, object]]:
    found = said.get("checks") if isinstance(said, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _started_ms(folder: Path) -> int:
    """When the running gateway began to listen: nobody could be heard before."""
    try:
        return (folder / ADDRESSES).stat().st_mtime_ns // 1_000_000
    except OSError:
        return 0


def _mqtt_down(url: str, problem: str, do: str) -> Failed:
    why = f"{problem[0].upper()}{problem[1:].rstrip('.')}. Boards keep what they cannot send."
    return Failed(f"{url} cannot be used.", why, do)


def _clock_off(what: str) -> Failed:
    return Failed(
        what,
        "Boards take their time from the gateway; a wrong one costs them their pay.",
        "Set the clock (`timedatectl set-ntp true`). If it is right, the data is of another time.",
    )


def _from(fault: OperatorFault) -> Failed:
    return Failed(fault.what, fault.why, fault.do)


def _silence(look: StationLook) -> str:
    last = "earlier than the last closed epoch" if look.last_ms is None else _utc(look.last_ms)
    return f"last {last}, every {look.reporting_interval_ms // 1000} s"


def _off(offset_ms: float) -> str:
    return f"{abs(offset_ms):.0f} ms {'behind' if offset_ms > 0 else 'ahead'}"


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
