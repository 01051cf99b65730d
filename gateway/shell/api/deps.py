"""What the API needs of its gateway. The runtime puts it together, and so do tests."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.shell.clock import Clock
from gateway.shell.health import Health
from gateway.shell.live import LiveFeed
from gateway.shell.metrics import Metrics
from gateway.shell.network import Network
from gateway.shell.store.base import Store
from gateway.shell.worker import Worker


@dataclass(frozen=True, slots=True)
class ApiDeps:
    """open_store: opens another reading connection, called in whatever thread will use it.

    health: called on the event loop, at every request for `/health` and `/ready`. api_key: what
    an operator shows as `Authorization: Bearer <api_key>`.
    """

    worker: Worker
    network: Network
    open_store: Callable[[], Store]
    clock: Clock
    live: LiveFeed
    metrics: Metrics
    health: Callable[[], Health]
    api_key: str
