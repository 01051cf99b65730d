"""What the API needs of its gateway. The runtime puts it together, and so do tests."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.core.rules import Rules
from gateway.shell.clock import Clock
from gateway.shell.health import Health
from gateway.shell.live import LiveFeed
from gateway.shell.metrics import Metrics
from gateway.shell.network import Network
from gateway.shell.onboarding import Onboarding
from gateway.shell.store.base import Store
from gateway.shell.worker import Worker


@dataclass(frozen=True, slots=True)
class ApiDeps:
    """open_store: opens another reading connection, called in whatever thread will use it.

    health: called on the event loop, at every request for `/health` and `/ready`. api_key: what
    an operator shows as `Authorization: Bearer <api_key>`. onboarding: what boards must know under
    the rules of today; asked once all listens. tell_release: says again which release boards
    should run. flash_images_dir: of official MicroPython images.
    """

    worker: Worker
    network: Network
    open_store: Callable[[], Store]
    clock: Clock
    live: LiveFeed
    metrics: Metrics
    health: Callable[[], Health]
    api_key: str
    onboarding: Callable[[Rules], Onboarding]
    tell_release: Callable[[], Awaitable[None]]
    flash_images_dir: Path | None = None
