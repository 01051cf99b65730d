"""The same messages in any order, with duplicates and crashes: one message root, one payout root.

Messages are taken from a run's store and given to a new gateway of the same network, shuffled
within half an hour, which crosses no deadline.
"""

import random
from itertools import groupby

import pytest

from gateway.core.admission import Arrival
from gateway.core.manifest import decode_manifest
from gateway.core.verdicts import Verdict
from gateway.shell.network import DATABASE, create_network, load_network
from gateway.shell.service import Gateway
from gateway.shell.store.sqlite import SqliteStore
from simulator.fleet import run_fleet
from simulator.scenario import load_scenario
from simulator.weather import DAY_MS

SEED = 5
WINDOW_MS = 1_800_000


class Power(BaseException):
    """Ends the gateway's process inside a call."""


class FragileStore:
    def __init__(self, path, network_id, dies):
        self.real = SqliteStore.create(path, network_id)
        self._dies = dies

    def __getattr__(self, name):
        return getattr(self.real, name)

    def commit(self, batch):
        if self._dies():
            raise Power
        self.real.commit(batch)
        if self._dies():
            raise Power

    def store_epoch(self, closed):
        if self._dies():
            raise Power
        self.real.store_epoch(closed)
        if self._dies():
            raise Power


class Restarting:
    """A gateway that dies with some probability around every commit and is started again."""

    def __init__(self, folder, epoch_zero_ms, generator, crash_share):
        self._keys = create_network(
            folder,
            f"simulated-{SEED}",
            simulated=True,
            epoch_zero_ms=epoch_zero_ms,
            seed=SEED,
        )
        self._database = folder / DATABASE
        self._dies = lambda: generator.random() < crash_share
        self.crashes = 0
        self.store = None
        self._start()

    def _start(self):
        if self.store is not None:
            self.store.real.close()
        self.store = FragileStore(self._database, self._keys.network_id, self._dies)
        self._gateway = Gateway.open(self.store, self._keys)

    def survive(self, call):
        """Repeat a call until the gateway lives through it, as boards and operators do."""
        while True:
            try:
                return call(self._gateway)
            except Power:
                self.crashes += 1
                self._start()

    def roots(self):
        self._gateway.close()
        store = SqliteStore.open(self._database, self._keys.network_id)
        closed = [store.epoch(number) for number in store.epoch_numbers()]
        store.close()
        return [decode_manifest(one.manifest) for one in closed]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Epoch zero, close, operator events and (window end, message) of a run with every fault."""
    scenario = load_scenario("village")
    folder = tmp_path_factory.mktemp("recorded") / "network"
    assert run_fleet(scenario, SEED, folder).failures == ()
    store = SqliteStore.open(folder / DATABASE, load_network(folder).network_id)
    messages = [
        (logged.entry.recv_ms // WINDOW_MS * WINDOW_MS + WINDOW_MS, logged.data)
        for logged in store.iterate()
    ]
    events = store.events(0, store.operator_head().length)
    store.close()
    return scenario.start_ms, messages, events


def deliver(recorded, folder, seed, *, crash_share=0.0, duplicates=0.0, shuffle=True):
    """Give the messages to a new gateway; return (manifests, crashes)."""
    epoch_zero_ms, messages, events = recorded
    generator = random.Random(seed)
    gateway = Restarting(folder, epoch_zero_ms, generator, crash_share)
    for event in events:
        gateway.survive(lambda one, event=event: one.append_operator_event(event, epoch_zero_ms))
    for window_ms, group in groupby(messages, key=lambda item: item[0]):
        waiting = [data for _, data in group]
        waiting += [data for data in waiting if generator.random() < duplicates]
        while waiting:
            if shuffle:
                generator.shuffle(waiting)
            waiting = deliver_once(gateway, waiting, window_ms)
    close_ms = epoch_zero_ms + 2 * DAY_MS
    gateway.survive(lambda one: one.advance(close_ms))
    return gateway.roots(), gateway.crashes


def deliver_once(gateway, messages, now_ms):
    """Deliver in batches; return what came before its hello and is to be sent again."""
    refused = []
    for first in range(0, len(messages), 16):
        batch = tuple(Arrival(None, data) for data in messages[first : first + 16])
        judged = gateway.survive(lambda one, batch=batch: one.deliver(batch, now_ms))
        for arrival, one in zip(batch, judged, strict=True):
            assert one.verdict in {Verdict.OK, Verdict.DUPLICATE, Verdict.UNREGISTERED}
            if one.verdict is Verdict.UNREGISTERED:
                refused.append(arrival.data)
    return refused


@pytest.fixture(scope="module")
def in_order(recorded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("in-order") / "network"
    manifests, crashes = deliver(recorded, folder, 0, shuffle=False)
    assert crashes == 0
    assert len(manifests) == 1
    assert manifests[0].messages > 500
    assert manifests[0].totals.paid > 0
    return manifests


def outcome(manifests):
    """What must not depend on the order: the logs' hashes do, these do not."""
    return [(m.message_root, m.payout_root, m.stations, m.totals, m.messages) for m in manifests]


@pytest.mark.parametrize("seed", range(3))
def test_order_and_duplicates_change_nothing(recorded, in_order, tmp_path, seed):
    shuffled, _ = deliver(recorded, tmp_path / "network", seed, duplicates=0.3)
    assert outcome(shuffled) == outcome(in_order)
    assert shuffled[0].admission != in_order[0].admission


@pytest.mark.parametrize("seed", range(3))
def test_crashes_change_nothing(recorded, in_order, tmp_path, seed):
    manifests, crashes = deliver(
        recorded, tmp_path / "network", seed, crash_share=0.1, duplicates=0.1
    )
    assert crashes > 5
    assert outcome(manifests) == outcome(in_order)


def test_a_missing_message_changes_the_root(recorded, in_order, tmp_path):
    epoch_zero_ms, messages, events = recorded
    short = (epoch_zero_ms, messages[:100] + messages[101:], events)
    manifests, _ = deliver(short, tmp_path / "network", 0, shuffle=False)
    assert manifests[0].message_root != in_order[0].message_root
