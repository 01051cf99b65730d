"""Logins between ingest and core: which passwords hold, before their counters are compared.

It knows ids and passwords; connections, sessions and clocks are others' business.
"""

from collections.abc import Callable, Sequence

from gateway.core.ids import parse_device
from gateway.core.login import Login, LoginRefusal, LoginRequest, open_login


def open_requests(
    requests: Sequence[LoginRequest],
    network_id: bytes,
    known: Callable[[bytes], bool],
    strangers: Sequence[bool],
) -> list[Login | LoginRefusal]:
    """Open passwords. strangers: may this request be of an id that is not known?

    That is asked before any signature is checked: whoever is over the limit of his address should
    cost nothing.
    """
    return [
        _open(request, network_id, known=known, stranger=stranger)
        for request, stranger in zip(requests, strangers, strict=True)
    ]


def _open(
    request: LoginRequest,
    network_id: bytes,
    *,
    known: Callable[[bytes], bool],
    stranger: bool,
) -> Login | LoginRefusal:
    device = parse_device(request.client_id)
    if device is None:
        return LoginRefusal.BAD_NAME
    if not stranger and not known(device):
        return LoginRefusal.ADDRESS_LIMIT
    try:
        password = request.password.decode("ascii")
    except UnicodeDecodeError:
        return LoginRefusal.BAD_TOKEN
    return open_login(password, request.client_id, request.user_name, network_id)
