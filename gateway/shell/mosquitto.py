"""What a Mosquitto needs to carry a network: configuration, access list, passwords.

Its users are the device ids, `gateway` and `operator`; use_username_as_clientid makes the user
name the client id, so that no device can push the gateway off its session. Passwords are derived
from one secret file, so nothing has to be stored or handed over twice. For Mosquitto 2.0.
"""

import hashlib
import hmac
import os
import pwd
import secrets
from base64 import b32encode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.core.ids import parse_device
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.secret_files import read_secret, write_once

GATEWAY_USER = "gateway"
OPERATOR_USER = "operator"
SECRET = "broker.secret"  # noqa: S105 - the name of a file
GATEWAY_PASSWORD = "broker-gateway.password"  # noqa: S105 - the name of a file
PASSWORD_CHARACTERS = 26
ACCOUNT = "mosquitto"

# Mosquitto's own default. A derived password has 130 bits: no number of rounds adds to that.
_ROUNDS = 101
_SALT_BYTES = 12
# Ingest holds 4,096 messages before it stops its sources: this window always fits.
_INFLIGHT_MAX = 4_000
# Per client. 4 KiB each at the most: 400 MiB if a gateway is away for very long.
_QUEUED_MAX = 100_000
# Far above a message of 4,096 bytes: what the broker cuts off never gets its verdict.
_SIZE_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the broker listens; cert and key together, or neither."""

    host: str
    port: int
    cert: Path | None = None
    key: Path | None = None

    @property
    def url(self) -> str:
        return f"{'mqtts' if self.cert else 'mqtt'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Written:
    """What `write_files` made. account: whom the broker runs as, "" if that is who starts it."""

    folder: Path
    users: tuple[str, ...]
    account: str

    @property
    def config(self) -> Path:
        return self.folder / "mosquitto.conf"


def valid_user(user: str) -> bool:
    return user in {GATEWAY_USER, OPERATOR_USER} or parse_device(user) is not None


def broker_password(secret: str, user: str) -> str:
    """The password of a user: nobody can tell it, or another's, without the secret."""
    digest = hmac.digest(bytes.fromhex(secret), user.encode(), hashlib.sha256)
    return b32encode(digest)[:PASSWORD_CHARACTERS].decode().lower()


def broker_secret(keys_dir: Path) -> str:
    """The secret behind all passwords; made at the first call."""
    path = keys_dir / SECRET
    if not path.exists():
        write_once(path, secrets.token_bytes(32))
    secret = read_secret(path, "the broker's secret")
    try:
        bytes.fromhex(secret)
    except ValueError as error:
        raise OperatorFault(
            f"The file {path} does not hold the broker's secret.",
            "It is not made of hex digits.",
            "Restore it from your copy. Without it every board needs a new password.",
            Code.KEYS_DAMAGED,
        ) from error
    return secret


def write_gateway_password(keys_dir: Path, secret: str) -> Path:
    """The file that the setting broker_password_file names."""
    path = keys_dir / GATEWAY_PASSWORD
    _write(path, broker_password(secret, GATEWAY_USER) + "\n", 0o600)
    return path


def write_files(
    folder: Path, network_id: bytes, listener: Listener, devices: Iterable[str], secret: str
) -> Written:
    """Write everything that the broker reads. A user who was in the password file stays in it."""
    folder = folder.resolve()
    _make_folder(folder, 0o700)
    _make_folder(folder / "state", 0o700)
    known = {GATEWAY_USER, OPERATOR_USER, *_users_of(folder / "passwords"), *devices}
    written = Written(folder, tuple(sorted(known)), _account(folder))
    passwords = [password_line(user, broker_password(secret, user)) for user in written.users]
    _write(folder / "passwords", "".join(passwords), 0o600)
    _write(folder / "acl", acl_text(network_id), 0o600)
    _write(written.config, config_text(folder, network_id, listener, written.account), 0o600)
    if written.account == ACCOUNT:
        _give_to(written.account, folder)
    return written


def password_line(user: str, password: str) -> str:
    """One line of a password file, as `mosquitto_passwd -H sha512-pbkdf2` writes it."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return f"{user}:$7${_ROUNDS}${b64encode(salt).decode()}${b64encode(digest).decode()}\n"


def acl_text(network_id: bytes) -> str:
    """Who may do what (protocol section 7); what is not here is denied."""
    base = f"cairn/1/{network_id.hex()}"
    return f"""\
# Written by `cairn broker init mosquitto`, and written again by it.
user {GATEWAY_USER}
topic read {base}/+/up
topic read {base}/control/tick
topic write {base}/+/down/#
topic write {base}/all/#

user {OPERATOR_USER}
topic write {base}/control/tick

# Everybody else: a device, whose id is its user name. (Mosquitto warns that the last pattern names
# no user; it is meant for all.)
pattern write {base}/%u/up
pattern read {base}/%u/down/#
pattern read {base}/all/#
"""


def config_text(folder: Path, network_id: bytes, listener: Listener, account: str) -> str:
    tls = [f"certfile {listener.cert}", f"keyfile {listener.key}"] if listener.cert else []
    return "\n".join(
        [
            f"# Broker of the Cairn network {network_id.hex()}.",
            "# Written by `cairn broker init mosquitto`, and written again by it.",
            *([f"user {account}"] if account else []),
            "per_listener_settings false",
            "allow_anonymous false",
            f"password_file {folder / 'passwords'}",
            f"acl_file {folder / 'acl'}",
            "",
            "# Every second: a save at every change halves the rate. Receipts make good the rest.",
            "persistence true",
            f"persistence_location {folder / 'state'}/",
            "autosave_interval 1",
            "",
            "# How much one client may have unacknowledged, and waiting.",
            f"max_inflight_messages {_INFLIGHT_MAX}",
            f"max_queued_messages {_QUEUED_MAX}",
            f"max_packet_size {_SIZE_MAX}",
            "set_tcp_nodelay true",
            "log_dest stderr",
            "",
            f"listener {listener.port} {listener.host}",
            "use_username_as_clientid true",
            *tls,
            "",
        ]
    )


def _users_of(passwords: Path) -> list[str]:
    """Who is in a password file that we wrote."""
    try:
        lines = passwords.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise _unwritable(passwords, error) from error
    users = [line.partition(":")[0] for line in lines]
    return [user for user in users if valid_user(user)]


def _account(folder: Path) -> str:
    """Whom the broker must run as to read these files.

    Started by root, Mosquitto becomes the user `mosquitto` before it reads them. It can be given
    the files, but not the way to them.
    """
    if os.geteuid() != 0:
        return ""
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        return "root"
    open_to_all = all(parent.stat().st_mode & 0o001 for parent in folder.parents)
    return ACCOUNT if open_to_all else "root"


def _give_to(account: str, folder: Path) -> None:
    entry = pwd.getpwnam(account)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _make_folder(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _write(path: Path, text: str, mode: int) -> None:
    """Replace a file in one step; it is never readable by more users than `mode` says."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: Exception) -> OperatorFault:
    return OperatorFault(
        f"The file {path} cannot be written.",
        f"{error}.",
        "Check that the folder exists, has room, and that this user may write to it.",
        Code.FILE_UNWRITABLE,
    )
