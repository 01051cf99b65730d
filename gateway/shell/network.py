"""A network on disk: its genesis, key statements, rules, and the keys that speak for it.

A data directory holds `genesis.cbor`, `statements.cbor`, `rules/`, quantities and tables, `keys/`
and the database. Key files hold 64 hex digits, are readable by their owner only, and are never
overwritten.
"""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from nacl.signing import SigningKey

from gateway.core import canonical
from gateway.core.cbor_profile import encode
from gateway.core.cose import Role, sign1
from gateway.core.epoch_setting import check_rules_fit
from gateway.core.genesis import DAY_MS, Genesis
from gateway.core.ids import device_id
from gateway.core.rules import parse_rules, rules_hash
from gateway.core.statements import KeyStatement, statement_payload
from gateway.core.verdicts import Verdict
from gateway.shell.bundle_file import write_whole
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.secret_files import write_once
from gateway.shell.spec_files import read_spec

FIRST_RULES = "rules/0001.toml"
# What else an epoch is computed from. A network keeps its own copies: an upgrade of this software
# must not change how a day is judged that has begun.
TABLES = {"trig": "tables/trig.csv", "radio": "tables/radio.csv", "regions": "regions.toml"}
PINNED = ("quantities.toml", *TABLES.values())
ENTROPY_SECRET = "entropy.secret"  # noqa: S105 - the name of a file
# Longer than any board stays in a drawer between flashing and its first contact.
STATEMENT_DAYS = 731
DATABASE = "cairn.db"
_KEY_ROLES = (Role.ROOT, Role.GATEWAY, Role.OPERATOR)


@dataclass(frozen=True, slots=True)
class Network:
    """What anybody may know of a network.

    folder: its data directory; statements: exact bytes, root-signed, the gateway key's first.
    """

    folder: Path
    genesis: Genesis
    genesis_bytes: bytes
    statements: tuple[bytes, ...]

    @property
    def network_id(self) -> bytes:
        return self.genesis.network_id()


@dataclass(frozen=True, slots=True)
class NetworkKeys(Network):
    """A network with the keys that a gateway needs to act for it, and the folder of its keys."""

    gateway: SigningKey
    operator: SigningKey
    keys_folder: Path


def create_network(
    folder: Path,
    name: str,
    *,
    simulated: bool,
    epoch_zero_ms: int,
    seed: int | None = None,
    rules: bytes | None = None,
    keys_folder: Path | None = None,
) -> NetworkKeys:
    """Make the keys and write genesis, statements and first rules of a new network.

    A seed makes the keys guessable, so only a simulated network may have one. OperatorFault if
    there is a network already, or the rules cannot be used.
    """
    if seed is not None and not simulated:
        raise _seeded()
    keys_folder = keys_folder or folder / "keys"
    rules = read_spec(FIRST_RULES) if rules is None else rules
    tables = {name: read_spec(path) for name, path in TABLES.items()}
    check_rules_fit(parse_rules(rules), read_spec("quantities.toml"), tables)
    key_paths = [*(_key_path(keys_folder, r) for r in _KEY_ROLES), keys_folder / ENTROPY_SECRET]
    _refuse_present([folder / "genesis.cbor", *key_paths])
    keys = {role: _new_key(role, seed) for role in _KEY_ROLES}
    genesis = Genesis(
        name, bytes(keys[Role.ROOT].verify_key), epoch_zero_ms, rules_hash(rules), simulated
    )
    statements = [_state(keys, role, genesis) for role in (Role.GATEWAY, Role.OPERATOR)]
    for role, key in keys.items():
        _write_key(_key_path(keys_folder, role), bytes(key))
    _write_key(keys_folder / ENTROPY_SECRET, _new_secret("entropy", seed))
    write_whole(folder / "rules" / "0001.toml", rules)
    for pinned in PINNED:
        write_whole(folder / pinned, read_spec(pinned))
    write_whole(folder / "statements.cbor", encode(statements))
    # Last: a directory without a genesis is no network, whatever else a crash left in it.
    write_whole(folder / "genesis.cbor", genesis.encode())
    return load_keys(folder, keys_folder)


def load_network(folder: Path) -> Network:
    """Read what a data directory says of its network; no key is opened."""
    genesis_bytes = _read(folder / "genesis.cbor")
    genesis = Genesis.decode(genesis_bytes)
    if isinstance(genesis, Verdict):
        raise _damaged(folder / "genesis.cbor", f"It is no genesis ({genesis.name.lower()}).")
    statements = _read_statements(folder / "statements.cbor")
    return Network(folder, genesis, genesis_bytes, statements)


def load_keys(folder: Path, keys_folder: Path | None = None) -> NetworkKeys:
    """Read a network and its gateway and operator keys; the root key is not needed to run."""
    network = load_network(folder)
    keys_folder = keys_folder or folder / "keys"
    return NetworkKeys(
        network.folder,
        network.genesis,
        network.genesis_bytes,
        network.statements,
        _read_key(_key_path(keys_folder, Role.GATEWAY)),
        _read_key(_key_path(keys_folder, Role.OPERATOR)),
        keys_folder,
    )


def find_rules(folder: Path, wanted: bytes) -> bytes:
    """The rule file in a data directory whose SHA-256 is `wanted`."""
    for path in sorted((folder / "rules").glob("*.toml")):
        text = path.read_bytes()
        if rules_hash(text) == wanted:
            return text
    raise OperatorFault(
        f"No file in {folder / 'rules'} holds the rules {wanted.hex()}.",
        "The genesis or a rules event names them, and nothing can be judged without them.",
        "Copy the rule file into that folder; its bytes must be unchanged.",
        Code.RULES_UNKNOWN,
    )


def read_pinned(folder: Path, name: str) -> bytes:
    """The network's own copy of one of PINNED."""
    return _read(folder / name)


def read_tables(folder: Path) -> dict[str, bytes]:
    """The network's own copies of the tables that an epoch is computed with, by name."""
    return {name: read_pinned(folder, path) for name, path in TABLES.items()}


def key_files(folder: Path) -> dict[str, Path]:
    """Where the keys of each role are, whether or not they exist."""
    return {role.value: _key_path(folder, role) for role in _KEY_ROLES}


def _state(keys: dict[Role, SigningKey], role: Role, genesis: Genesis) -> bytes:
    root = keys[Role.ROOT]
    statement = KeyStatement(
        role=role,
        public_key=bytes(keys[role].verify_key),
        serial=1,
        # The day before epoch zero, when the first boards are set up.
        not_before_ms=max(genesis.epoch_zero_ms - DAY_MS, 0),
        not_after_ms=genesis.epoch_zero_ms + STATEMENT_DAYS * DAY_MS,
    )
    message, _ = sign_with(root, genesis.network_id(), Role.ROOT, statement_payload(statement))
    return message


def sign_with(
    key: SigningKey, network_id: bytes, role: Role, payload: bytes
) -> tuple[bytes, bytes]:
    """Sign a payload by libsodium; return (message, message id)."""
    kid = device_id(bytes(key.verify_key))
    return sign1(lambda data: key.sign(data).signature, kid, network_id, role, payload)


def _new_key(role: Role, seed: int | None) -> SigningKey:
    return SigningKey(_new_secret(role.value, seed))


def _new_secret(name: str, seed: int | None) -> bytes:
    """32 bytes for a file of this name: random, or of a simulated network by its seed."""
    if seed is None:
        return secrets.token_bytes(32)
    return hashlib.sha256(f"cairn simulated {name} {seed}".encode()).digest()


def _key_path(folder: Path, role: Role) -> Path:
    return folder / f"{role.value}.key"


def _write_key(path: Path, key: bytes) -> None:
    try:
        write_once(path, key)
    except FileExistsError as error:
        raise _present(path) from error


def _read_key(path: Path) -> SigningKey:
    try:
        if path.stat().st_mode & 0o077:
            raise OperatorFault(
                f"The key file {path} can be read by other users.",
                "Whoever reads it can speak for this network.",
                f"Run `chmod 600 {path}`; if it was exposed, make a new key.",
                Code.KEYS_READABLE,
            )
        return SigningKey(bytes.fromhex(path.read_text("ascii").strip()))
    except OSError as error:
        raise OperatorFault(
            f"The key file {path} cannot be read.",
            f"{error.strerror}.",
            "Restore it from your copy, or name its folder with the setting keys_dir.",
            Code.KEYS_MISSING,
        ) from error
    except ValueError as error:
        raise OperatorFault(
            f"The key file {path} is damaged.",
            "It does not hold 64 hex digits.",
            "Restore it from your copy.",
            Code.KEYS_DAMAGED,
        ) from error


def _read_statements(path: Path) -> tuple[bytes, ...]:
    try:
        items = canonical.rows(canonical.decode(_read(path)), "the file")
        return tuple(canonical.blob(item, "a statement") for item in items)
    except canonical.MalformedError as error:
        raise _damaged(path, f"It is no list of key statements ({error}).") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorFault(
            f"There is no network in {path.parent}.",
            f"{path}: {error.strerror}.",
            "Name its directory with --data, or make one with `cairn network init`.",
            Code.NETWORK_MISSING,
        ) from error


def _refuse_present(paths: list[Path]) -> None:
    for path in paths:
        if path.exists():
            raise _present(path)


def _present(path: Path) -> OperatorFault:
    return OperatorFault(
        f"{path} exists already.",
        "Keys and geneses are never overwritten: with them the network would be lost.",
        "Use another directory, or move the old files away.",
        Code.KEYS_EXIST,
    )


def _damaged(path: Path, why: str) -> OperatorFault:
    return OperatorFault(
        f"The file {path} is damaged.", why, "Restore it from your copy.", Code.NETWORK_DAMAGED
    )


def _seeded() -> OperatorFault:
    return OperatorFault(
        "A seed was given for a network that is not simulated.",
        "Anybody who knows or guesses the seed has all of its keys.",
        "Leave the seed out, or make a simulated network.",
        Code.NETWORK_SEEDED,
    )
