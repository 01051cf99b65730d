"""The operator's events: through the gateway if one runs here, else straight into the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.options import load_settings

if TYPE_CHECKING:
    from gateway.shell.lock import Addresses
    from gateway.shell.settings import Loaded

API_SECONDS_MAX = 30


def approve(data_dir: Path | None, device: bytes) -> dict[str, Any]:
    """Let a device register. Returns how that was done."""
    from gateway.core.ids import device_name
    from gateway.core.operator import OperatorKind

    body = {"station": device_name(device)}
    return _operate(data_dir, "approve", body, OperatorKind.APPROVE, [device])


def anchor(data_dir: Path | None, device: bytes, *, anchored: bool) -> dict[str, Any]:
    """Say that a station's place was audited by hand, or take that back."""
    from gateway.core.ids import device_name
    from gateway.core.operator import OperatorKind

    body = {"station": device_name(device), "anchored": anchored}
    return _operate(data_dir, "anchor", body, OperatorKind.ANCHOR, [device, int(anchored)])


def _operate(
    data_dir: Path | None, verb: str, body: dict[str, Any], kind: int, event: list[Any]
) -> dict[str, Any]:
    from gateway.shell.lock import is_held, running

    loaded = load_settings(data_dir=data_dir)
    folder = loaded.settings.data_dir
    addresses = running(folder)
    if addresses is not None:
        ask_gateway(loaded, addresses, f"/v1/operator/{verb}", body)
        return {"through": "gateway"}
    if is_held(folder):
        raise _starting(folder)
    _straight(loaded, kind, event)
    return {"through": "store"}


def ask_gateway(
    loaded: "Loaded", addresses: "Addresses", path: str, body: dict[str, Any]
) -> dict[str, Any]:
    """POST to the running gateway's API as its operator; OperatorFault unless it says yes."""
    import httpx

    from gateway.shell.errors import Code, OperatorFault
    from gateway.shell.secret_files import API_KEY, read_secret

    key = read_secret(loaded.keys_dir / API_KEY, "the API key")
    try:
        # No proxy of the environment: the gateway is on this machine.
        answer = httpx.post(
            addresses.http + path,
            json=body,
            headers={"Authorization": f"Bearer {key}"},
            timeout=API_SECONDS_MAX,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise OperatorFault(
            f"The gateway at {addresses.http} does not answer.",
            f"{error}.",
            "`cairn gateway doctor` says what it lacks; or stop it and try again.",
            Code.API_UNREACHABLE,
        ) from error
    if answer.is_success:
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found
    raise _refused(addresses.http + path, answer)


def _refused(url: str, answer: Any) -> Exception:
    from gateway.shell.errors import Code, OperatorFault

    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    why = problem.get("detail") or problem.get("title") or f"status {answer.status_code}"
    return OperatorFault(
        f"The gateway refused {url}.",
        f"{str(why).rstrip('.')}.",
        str(problem.get("do") or "Correct that and try again."),
        str(problem.get("code") or Code.API_REFUSED),
    )


def _straight(loaded: "Loaded", kind: int, event: list[Any]) -> None:
    from gateway.core.operator import OperatorKind
    from gateway.core.registry import Policy
    from gateway.shell.lock import held
    from gateway.shell.network import DATABASE, load_keys
    from gateway.shell.service import Gateway
    from gateway.shell.store.sqlite import SqliteStore

    settings = loaded.settings
    keys = load_keys(settings.data_dir, loaded.keys_dir)
    with held(settings.data_dir):
        store = SqliteStore.create(
            settings.data_dir / DATABASE,
            keys.network_id,
            busy_timeout_ms=settings.store_busy_timeout_ms,
            samples_max=settings.refused_samples_max,
        )
        try:
            gateway = Gateway.open(store, keys, Policy(settings.admission_policy))
            gateway.operate(OperatorKind(kind), event, _now_ms(gateway, keys.genesis))
        finally:
            store.close()


def _now_ms(gateway: Any, genesis: Any) -> int:
    """Protocol time without a gateway: of a simulated network it stands where it stood last."""
    import time

    if not genesis.simulated:
        return time.time_ns() // 1_000_000
    length = gateway.store.admission_head().length
    newest = gateway.store.entries(length - 1, length) if length else ()
    stood: int = newest[0].recv_ms if newest else genesis.epoch_zero_ms
    return stood


def _starting(folder: Path) -> Exception:
    from gateway.shell.errors import Code, OperatorFault

    return OperatorFault(
        f"Another process is using {folder}.",
        "A gateway is starting or stopping there, or another verb is writing.",
        "Try again in a moment.",
        Code.GATEWAY_RUNNING,
    )
