"""Stations of several quantities, a store without a gateway's closes, and products over it."""

from pathlib import Path

from gateway.core.genesis import DAY_MS
from gateway.core.model import Kind
from gateway.shell.api.release import Releases
from gateway.shell.network import DATABASE, NetworkKeys
from gateway.shell.products import asking
from gateway.shell.products.periods import Period
from gateway.shell.products.product import Product
from gateway.shell.products.projection import STEP_MESSAGES_MAX, Products
from gateway.shell.service import Gateway
from gateway.shell.store.sqlite import SqliteStore
from tests.service.gateway_rig import START, open_gateway, send
from tests.service.signing_station import CELL, SigningStation

MINUTE_MS = 60_000
WINDOW_MS = 10 * MINUTE_MS
GRACE_MS = 30 * MINUTE_MS
NOON = START + DAY_MS // 2
FAR_CELL = 0x89194AD14D7FFFF  # in London
TEMPERATURE, HUMIDITY, DIRECTION = 0, 1, 8
DECLARED = ((TEMPERATURE, 0), (HUMIDITY, 0), (DIRECTION, 0))
CELL_7 = 0x871F1D489FFFFFF


class ProductStation(SigningStation):
    """Declares what a test gives, and sends any columns."""

    def __init__(
        self,
        number: int,
        network_id: bytes,
        cell: int = CELL,
        declared=DECLARED,
        interval_ms=300_000,
    ) -> None:
        super().__init__(number, network_id, cell)
        self.declared = [[*one, interval_ms] for one in declared]

    def hello(self, time_ms: int) -> bytes:
        body = [self.public_key, "t", self.declared, [0, 0, 0], bytes(32), self._cell, None]
        return self.message(Kind.HELLO, time_ms, body)

    def moved(self, time_ms: int, cell: int) -> bytes:
        self._cell = cell
        return self.hello(time_ms)

    def columns(self, time_ms: int, *columns: list, source: int = 5) -> bytes:
        """One sample of each column [quantity, channel, exponent, [value]]."""
        return self.message(Kind.READINGS, time_ms, [0, [], list(columns)], source)


class Followed:
    """A gateway's store and the products of it. Arrivals are given their own time."""

    def __init__(self, keys: NetworkKeys) -> None:
        self.keys = keys
        self.gateway: Gateway = open_gateway(keys)
        self.releases = Releases(keys)
        self.products = Products(keys)

    def send(self, *messages: bytes, now_ms: int) -> None:
        send(self.gateway, *messages, now_ms=now_ms)

    def follow(
        self, now_ms: int, products: Products | None = None, messages_max: int = STEP_MESSAGES_MAX
    ) -> None:
        """Make all that is due at now_ms."""
        # A reader knows the log as it was when it was opened.
        store = SqliteStore.reader(self.keys.folder / DATABASE, self.keys.network_id)
        self.releases.follow(store)
        follow = (products or self.products).follow
        while not follow(store, self.releases, now_ms, messages_max):
            pass
        store.close()

    def series(
        self, cell: int, period: Period, quantity: int = TEMPERATURE, revision: int | None = None
    ) -> list[Product]:
        with self.products.reading() as database:
            name = (cell, period, quantity)
            return asking.series(database, name, (0, 1 << 53), revision, 10_000)

    def everything(self, products: Products | None = None) -> list[tuple]:
        """Every revision of every product."""
        with (products or self.products).reading() as database:
            return database.execute("SELECT * FROM products").fetchall()

    def again(self, path: Path) -> Products:
        """Another file, made from nothing."""
        return Products(self.keys, path)

    def close(self) -> None:
        self.products.close()
        self.gateway.close()
