"""What a board's answers mean, link by link: from the program to the signature.

Pure: answers in, findings out. It asks nobody and knows no port.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any

from gateway.board.answer import Answer
from gateway.board.doctor_report import Finding, Link, failed, passed, skipped
from gateway.board.doctor_sides import NetworkLook
from gateway.board.station_codes import explained
from gateway.core.explain import decimal
from gateway.core.login import Login, LoginRefusal, open_login
from gateway.core.quantities import Quantity, parse_quantities
from gateway.shell.spec_files import read_spec

AGAIN = "`cairn board doctor` looks again."
PROVISION = "`cairn board provision`"
FLASH = "`cairn board flash --firmware FILE`"
# After so many boots in a row that ended badly the next one goes into safe mode. The board's
# console leaves out the boot that was interrupted for it.
CRASHES_MAX = 5
# Below it a segment of the outbox and a file that is replaced do not fit beside each other.
FREE_FLASH_BYTES_MIN = 16_384
_FAULTS = (
    "not sampled",
    *("bus did not answer", "checksum", "timeout", "bus stuck", "outside the sensor's range"),
    *("warming up", "not calibrated", "supply too low", "sensor absent"),
)
_WARMING = 6
_EXPONENT_MAX = 18
# The board's word for what its TLS says of a certificate.
_TLS_REASONS = {"ca": "tls_ca", "name": "tls_name", "expired": "tls_time", "early": "tls_time"}
_NO_TIME = re.compile(r"does not know the time: (time\.[a-z0-9_]+)")
_TLS = {
    "tls_ca": (
        "The broker's certificate was not signed by the CA that the board was given.",
        "Another CA signed it, or somebody stands between board and broker.",
        f"Set `mqtt_ca_file` at the gateway to the CA that signed it, then {PROVISION} again.",
    ),
    "tls_name": (
        "The broker's certificate is for another name than the one that the board calls.",
        "A board that took it would talk to whoever holds any certificate of that CA.",
        f"Make one for that name, or set `public_host` at the gateway, and {PROVISION} again.",
    ),
    "tls_time": (
        "By the board's clock the broker's certificate is not valid now.",
        "It has expired, or is not valid yet, or the board's clock is wrong.",
        "Renew the certificate; or set the clock of the gateway, where the board takes its time.",
    ),
}


def firmware(answer: Answer, network: NetworkLook | None) -> Finding:
    """The program, its key and its configuration. network: that of the gateway, if it told."""
    facts = answer.facts
    seen = {name: facts.get(name) for name in ("device", "firmware", "chip", "slot", "counter")}
    if not answer.ok:
        return from_code(Link.FIRMWARE, answer)
    text = f"{facts.get('firmware')}, station {facts.get('device')}"
    free = facts.get("free_flash")
    if isinstance(free, int) and free < FREE_FLASH_BYTES_MIN:
        return failed(
            Link.FIRMWARE,
            "board_full",
            f"The board's file system is full: {free} bytes are free.",
            "No message can be stored, and none is sent that is not stored.",
            f"{FLASH} again: key, Wi-Fi, configuration stay; messages without receipt are lost.",
            **seen,
            free_flash=free,
        )
    if not facts.get("config"):
        return _without_config(text, seen, str(facts.get("config_code") or "config.absent"))
    own = facts["config"].get("network")
    if network is not None and own != network.network_id:
        return failed(
            Link.FIRMWARE,
            "board_other_network",
            f"The board belongs to the network {own}, and this gateway to {network.network_id} "
            f"({network.name}).",
            "What it signs is signed for that network, and holds nowhere else.",
            f"Name that network's gateway with `--gateway`, or {PROVISION} again for this one.",
            **seen,
            network=own,
        )
    return _after_crashes(text, seen, facts.get("crashes"))


def _without_config(text: str, seen: Mapping[str, Any], code: str) -> Finding:
    if code != "config.absent":
        return from_code(Link.FIRMWARE, Answer(ok=False, code=code), **seen)
    return failed(
        Link.FIRMWARE,
        "board_unprovisioned",
        f"The board runs {text}, and belongs to no network yet.",
        "It has a key, and no configuration.",
        f"{PROVISION}.",
        **seen,
    )


def _after_crashes(text: str, seen: Mapping[str, Any], crashes: object) -> Finding:
    if isinstance(crashes, int) and crashes >= CRASHES_MAX:
        return failed(
            Link.FIRMWARE,
            "board_crashing",
            f"The last {crashes} boots of the board ended badly.",
            "It is in safe mode: it says its status and takes no samples.",
            "`cairn board run` shows the codes `task.failed` or `station.failed` with the error; "
            f"{FLASH} another version, and check supply and sensors.",
            **seen,
            crashes=crashes,
        )
    return passed(Link.FIRMWARE, text, **seen)


def sensors(answer: Answer) -> Finding:
    rows = _rows(answer.facts.get("sensors"))
    if answer.code == "sensors.none" or (answer.ok and not rows):
        return skipped(
            Link.SENSORS,
            "no sensor is configured",
            "the station proves coverage and measures nothing",
            f"name its sensors and {PROVISION} again, if it has any",
        )
    absent = [row for row in rows if row["value"] is None and not row["warming"]]
    if absent:
        words = ", ".join(f"{row['name']}: {row['fault']}" for row in absent)
        return failed(
            Link.SENSORS,
            "sensors.fault",
            f"A sensor gives no value ({words}).",
            "The station sends the fault in its place; a quantity without values earns nothing.",
            f"Check wiring, supply and address of that sensor. {AGAIN}",
            sensors=rows,
        )
    if not answer.ok:
        return from_code(Link.SENSORS, answer)
    told = [
        f"{row['name']} {row['fault'] if row['value'] is None else row['value']} {row['unit']}"
        for row in rows
    ]
    return passed(Link.SENSORS, ", ".join(one.rstrip() for one in told), sensors=rows)


def wifi(answer: Answer) -> Finding:
    if not answer.ok:
        return from_code(Link.WIFI, answer, **_some(answer, "ssid"))
    facts = _some(answer, "ssid", "rssi_dbm", "address")
    level = "" if facts.get("rssi_dbm") is None else f", {facts['rssi_dbm']} dBm"
    return passed(Link.WIFI, f"{facts.get('ssid', 'joined')}{level}", **facts)


def dns(answer: Answer) -> Finding:
    facts = _some(answer, "host", "address")
    if not answer.ok:
        return from_code(Link.DNS, answer, **facts)
    host, address = facts.get("host"), facts.get("address")
    same = host == address
    return passed(Link.DNS, f"{host} is an address" if same else f"{host} is {address}", **facts)


def broker(answer: Answer, *, computer_reaches: bool | None) -> Finding:
    """computer_reaches: whether this computer got a connection to the same; None: not asked."""
    facts = _some(answer, "host", "port", "address")
    where = f"{facts.get('host')}:{facts.get('port')}"
    if answer.ok:
        return passed(Link.BROKER, f"{where} answers", **facts)
    found = from_code(Link.BROKER, answer, **facts, computer_reaches=computer_reaches)
    if answer.code != "link.unreachable" or computer_reaches is None:
        return found
    if computer_reaches:
        return failed(
            Link.BROKER,
            answer.code,
            f"The board gets no connection to {where}, and this computer does.",
            "The board's Wi-Fi does not lead there: a guest network, or a firewall between.",
            f"Let that Wi-Fi reach {where}, or provision the board for another. {AGAIN}",
            **found.facts,
        )
    return failed(
        Link.BROKER,
        answer.code,
        f"Neither the board nor this computer gets a connection to {where}.",
        "Nothing listens there, or the address is another one.",
        "`cairn gateway doctor` on the gateway's machine says whether it listens, and where.",
        **found.facts,
    )


def tls(answer: Answer) -> Finding:
    if answer.ok and answer.facts.get("tls") is False:
        return skipped(Link.TLS, "the broker is reached without TLS", "so it was provisioned")
    if answer.ok:
        return passed(Link.TLS, "the broker's certificate holds", **_some(answer, "host"))
    seen = _some(answer, "host") | {"said": answer.detail}
    timeless = _NO_TIME.search(answer.detail)
    if timeless is not None:
        return _timeless(timeless[1], seen)
    code = _TLS_REASONS.get(str(answer.facts.get("reason")), "")
    if answer.code != "link.tls" or not code:
        return from_code(Link.TLS, answer, **_some(answer, "host"))
    what, why, do = _TLS[code]
    return failed(Link.TLS, code, what, why, f"{do} {AGAIN}", **seen)


def _timeless(code: str, seen: Mapping[str, Any]) -> Finding:
    """A board that was just switched on takes its time before it can judge a certificate."""
    known = explained(code)
    why = "It comes from the gateway's time service" + (f": {known.what}" if known else ".")
    return failed(
        Link.TLS,
        "tls_no_time",
        "The board does not know the time, and so cannot judge the certificate's dates.",
        f"{why} ({code})",
        f"{known.do if known else 'Look at the gateway.'} {AGAIN}",
        **seen,
        time=code,
    )


def clock(answer: Answer, computer_ms: int) -> Finding:
    """computer_ms: this computer's time, to tell by how much the two differ."""
    if not answer.ok:
        return from_code(Link.CLOCK, answer)
    facts = _some(answer, "time_ms", "uncertainty_ms")
    time_ms = facts.get("time_ms")
    if not isinstance(time_ms, int):
        return passed(Link.CLOCK, "the gateway's signed time holds", **facts)
    apart_s = (time_ms - computer_ms) // 1_000
    facts["ahead_of_computer_s"] = apart_s
    text = f"the gateway's signed time holds, {abs(apart_s)} s "
    return passed(Link.CLOCK, text + ("ahead of" if apart_s > 0 else "behind") + " here", **facts)


def signature(answer: Answer, whoami: Answer) -> Finding:
    """Open what the board signed with the gateway's own rules."""
    if not answer.ok:
        return from_code(Link.SIGNATURE, answer)
    device = str(whoami.facts.get("device"))
    network = str(whoami.facts["config"].get("network"))
    login = _opened(answer.facts.get("login"), device, network)
    if isinstance(login, Login):
        key = login.public_key.hex()
        if key == whoami.facts.get("public_key"):
            return passed(Link.SIGNATURE, f"holds for {device} in this network", public_key=key)
        login = LoginRefusal.WRONG_ID
    return failed(
        Link.SIGNATURE,
        "signature_wrong",
        f"What the board signs does not hold ({login.value}).",
        "The gateway would refuse its login and all of its messages. The stored key is damaged, "
        "or the program does not compute right on this chip.",
        f"{FLASH} again. If it stays so, erase the board: it becomes a new station.",
        refusal=login.value,
    )


def _opened(signed: object, device: str, network: str) -> Login | LoginRefusal:
    try:
        data, network_id = bytes.fromhex(str(signed)), bytes.fromhex(network)
    except ValueError:
        return LoginRefusal.BAD_TOKEN
    password = urlsafe_b64encode(data).rstrip(b"=").decode()
    return open_login(password, device, device, network_id)


def from_code(link: Link, answer: Answer, **facts: Any) -> Finding:
    """A fault that the board named, in the words of the table of its codes."""
    known = explained(answer.code)
    if known is None:
        what, do = "The board answers with a fault that is not known here.", "Report it."
    else:
        what, do = known.what, known.do
    facts["said"] = answer.detail
    return failed(link, answer.code, what, _sentence(answer.detail), f"{do} {AGAIN}", **facts)


def _sentence(detail: str) -> str:
    return f"The board said: {detail.rstrip('.')}." if detail else "The board said no more."


def _some(answer: Answer, *names: str) -> dict[str, Any]:
    return {name: answer.facts[name] for name in names if name in answer.facts}


def _rows(found: object) -> list[dict[str, Any]]:
    """Readings as the board gave them, with their names; what is not one is left out."""
    rows = []
    for one in found if isinstance(found, list) else []:
        if not isinstance(one, list) or len(one) != 5:
            continue
        quantity, channel, exponent, value, fault = one
        if not _plausible(quantity, exponent, value):
            continue
        known = _quantities().get(quantity)
        rows.append(
            {
                "name": str(quantity) if known is None else known.name,
                "channel": channel,
                "value": None if value is None else decimal(value, exponent),
                "unit": "" if known is None else known.unit,
                "fault": None if value is not None else _fault(fault),
                "warming": value is None and fault == _WARMING,
            }
        )
    return rows


def _plausible(quantity: object, exponent: object, value: object) -> bool:
    # A large exponent would be written out in as many digits.
    return (
        type(quantity) is int
        and type(exponent) is int
        and abs(exponent) <= _EXPONENT_MAX
        and (value is None or type(value) is int)
    )


def _fault(number: object) -> str:
    if isinstance(number, int) and 0 <= number < len(_FAULTS):
        return _FAULTS[number]
    return str(number)


@cache
def _quantities() -> Mapping[int, Quantity]:
    return parse_quantities(read_spec("quantities.toml"))
