"""What the gateway counts, in Prometheus' text format.

Each object has its own registry, so two gateways in one process do not mix. Labels are closed
lists (verdicts, reasons of a login): a stranger must not choose how many series there are.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

from gateway.core.verdicts import Verdict

CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
# A batch on a good disk is committed in milliseconds; a second means that it is failing.
_BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters and gauges of one gateway."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._messages = Counter(
            "cairn_messages", "Messages judged, by verdict.", ["verdict"], registry=registry
        )
        self._batch_size = Histogram(
            "cairn_batch_messages",
            "Messages in one ingest batch.",
            buckets=_BATCH_SIZES,
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "cairn_batch_seconds",
            "Wall time from a batch's start to its durable commit.",
            buckets=_BATCH_SECONDS,
            registry=registry,
        )
        self._queue = Gauge(
            "cairn_queue_messages", "Messages waiting to be judged.", registry=registry
        )
        self._connections = Gauge(
            "cairn_connections", "Open device connections.", registry=registry
        )
        self._logins = Counter(
            "cairn_logins", "Logins, by outcome.", ["reason"], registry=registry
        )
        self._downlinks = Counter(
            "cairn_downlinks", "Downlinks handed to the sources.", registry=registry
        )
        self._epochs = Counter("cairn_epochs_closed", "Epochs closed.", registry=registry)
        self._entropy = Counter(
            "cairn_entropy_slots", "Slots, by what became of them.", ["outcome"], registry=registry
        )
        self._external_failed = Counter(
            "cairn_entropy_external_failed",
            "Slots whose entropy had to go without what should be mixed in.",
            registry=registry,
        )
        self._protocol_time = Gauge(
            "cairn_protocol_time_seconds", "Protocol time since 1970 UTC.", registry=registry
        )

    def messages(self, verdict: Verdict, count: int = 1) -> None:
        self._messages.labels(verdict.name.lower()).inc(count)

    def batch(self, size: int, seconds: float) -> None:
        self._batch_size.observe(size)
        self._batch_seconds.observe(seconds)

    def queue(self, depth: int) -> None:
        self._queue.set(depth)

    def connections(self, count: int) -> None:
        self._connections.set(count)

    def login(self, reason: str) -> None:
        """reason: of the LoginResult, a stable word; "granted" where that is empty."""
        self._logins.labels(reason or "granted").inc()

    def downlinks(self, count: int) -> None:
        self._downlinks.inc(count)

    def epochs_closed(self, count: int) -> None:
        self._epochs.inc(count)

    def entropy(self, published: int, void: int) -> None:
        self._entropy.labels("published").inc(published)
        self._entropy.labels("void").inc(void)

    def entropy_external_failed(self) -> None:
        self._external_failed.inc()

    def protocol_time(self, now_ms: int) -> None:
        self._protocol_time.set(now_ms / 1000)

    def render(self) -> bytes:
        """Everything, in the format that `CONTENT_TYPE` names."""
        return generate_latest(self._registry)
