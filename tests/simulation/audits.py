"""Exports every epoch of a data directory and audits the bundles as a stranger would."""

from gateway.core.audit import audit_chain
from gateway.core.bundle import Damage, read_bundle
from gateway.shell.bundle_export import default_path, export_bundle
from gateway.shell.bundle_file import decompress, read_bundle_file
from gateway.shell.network import DATABASE, load_network
from gateway.shell.store.sqlite import SqliteStore


def audit_all(folder):
    """Return the audit of all epochs of `folder` as one chain."""
    network = load_network(folder)
    store = SqliteStore.open(folder / DATABASE, network.network_id)
    bundles = []
    for number in store.epoch_numbers():
        path = default_path(network, number)
        export_bundle(store, network, store.epoch(number), path)
        sections = read_bundle(read_bundle_file(path), decompress)
        assert not isinstance(sections, Damage)
        bundles.append(sections)
    store.close()
    return audit_chain(bundles)


def stored_samples(folder):
    """What the store holds: {(device, quantity): {time_ms: (value, exponent)}}."""
    from gateway.core.model import Readings
    from gateway.core.verdicts import Verdict
    from gateway.core.wire import decode

    network_id = load_network(folder).network_id
    store = SqliteStore.open(folder / DATABASE, network_id)
    samples = {}
    for logged in store.iterate():
        decoded = decode(logged.data, network_id)
        assert not isinstance(decoded, Verdict)
        message = decoded.message
        if isinstance(message.body, Readings):
            for column in message.body.columns:
                rows = samples.setdefault((message.device, column.quantity), {})
                for age_ms, value in zip(message.body.sample_ages_ms, column.values, strict=True):
                    assert message.time_ms - age_ms not in rows
                    rows[message.time_ms - age_ms] = (value, column.exponent)
    store.close()
    return samples
