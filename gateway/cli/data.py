"""A data directory as the verbs see it: settings, network, store, gateway."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.options import load_settings
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import DATABASE, Network, NetworkKeys, load_keys, load_network
from gateway.shell.published import stored_epoch
from gateway.shell.settings import Loaded
from gateway.shell.store.base import Store, StoredEpoch
from gateway.shell.store.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class Data:
    """An opened data directory. No key has been read; `keys` does that."""

    network: Network
    store: Store
    loaded: Loaded

    def keys(self) -> NetworkKeys:
        """The network with the keys that a gateway signs with."""
        return load_keys(self.network.folder, self.loaded.keys_dir)


@contextmanager
def opened(data_dir: Path | None) -> Iterator[Data]:
    """Open the network and the database that the settings name, and close them again."""
    loaded = load_settings(data_dir=data_dir)
    settings = loaded.settings
    network = load_network(settings.data_dir)
    store = SqliteStore.open(
        settings.data_dir / DATABASE,
        network.network_id,
        busy_timeout_ms=settings.store_busy_timeout_ms,
        samples_max=settings.refused_samples_max,
    )
    try:
        yield Data(network, store, loaded)
    finally:
        store.close()


def last_epoch(store: Store) -> StoredEpoch:
    """The newest closed epoch, or an OperatorFault if there is none."""
    numbers = store.epoch_numbers()
    if not numbers:
        raise OperatorFault(
            "No epoch is closed here yet.",
            "An epoch closes some hours after the end of its UTC day.",
            "`cairn epoch close` closes what is due.",
            Code.EPOCH_MISSING,
        )
    return stored_epoch(store, numbers[-1])
