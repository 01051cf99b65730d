"""Writing the bundle of a closed epoch from the store."""

import hashlib
from pathlib import Path

from gateway.core.bundle import write_bundle
from gateway.core.bundle_sections import bundle_sections
from gateway.core.epoch import close_epoch
from gateway.core.manifest import decode_manifest
from gateway.shell.bundle_file import SUFFIX, compress, write_whole
from gateway.shell.epochs import epoch_inputs, span_of
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import Network, find_rules
from gateway.shell.store.base import Store, StoredEpoch


def default_path(network: Network, epoch: int) -> Path:
    """Where the bundle of an epoch lies unless somebody says otherwise."""
    return network.folder / "bundles" / f"{epoch}{SUFFIX}"


def export_bundle(
    store: Store, network: Network, stored: StoredEpoch, path: Path
) -> tuple[int, bytes]:
    """Write the bundle of a closed epoch; return its length and SHA-256.

    The epoch is computed again from the logs, so a gateway never hands out a bundle that its own
    audit would refuse: OperatorFault if that gives another manifest than the settled one.
    """
    rules_text = find_rules(network.folder, decode_manifest(stored.manifest).rules)
    inputs = epoch_inputs(store, network, span_of(stored), rules_text)
    outcome = close_epoch(inputs)
    if (outcome.manifest, outcome.closing) != (stored.manifest, stored.closing):
        raise OperatorFault(
            f"Epoch {stored.epoch} cannot be computed again as it was settled.",
            "The logs, messages or network files differ from what they were at the close.",
            "Restore the data directory from your last good copy.",
            Code.EPOCH_DAMAGED,
        )
    data = write_bundle(bundle_sections(inputs, outcome, stored.attestation), compress)
    write_whole(path, data)
    return len(data), hashlib.sha256(data).digest()
