"""What a gateway rebuilds from its store and its network's files when it opens.

Everything is checked on the way: hash chains, signatures, that each stored message still says
what its entry says. What does not hold is an OperatorFault.
"""

from collections.abc import Iterator, Sequence

from gateway.core import logs
from gateway.core.admission import AdmissionState
from gateway.core.cose import Role
from gateway.core.ids import device_id
from gateway.core.model import AdmissionEntry
from gateway.core.operator import OperatorEvent, open_operator_event
from gateway.core.registry import Policy
from gateway.core.statements import KeyStatement, open_statement
from gateway.core.verdicts import Verdict
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import NetworkKeys
from gateway.shell.store.base import Store


def open_statements(keys: NetworkKeys) -> list[KeyStatement]:
    """The key statements, that of the gateway key first; OperatorFault if one does not hold."""
    opened = []
    for data in keys.statements:
        statement = open_statement(data, keys.network_id, keys.genesis.root_key)
        if isinstance(statement, Verdict):
            raise OperatorFault(
                f"A key statement in {keys.folder} does not hold.",
                f"Its verdict is {statement.name.lower()}.",
                "Restore statements.cbor from your copy.",
                Code.NETWORK_DAMAGED,
            )
        opened.append(statement)
    kid = device_id(bytes(keys.gateway.verify_key))
    if not opened or (opened[0].role, opened[0].kid) != (Role.GATEWAY, kid):
        raise OperatorFault(
            f"The gateway key of {keys.folder} is not the one in its first key statement.",
            "No board would believe a receipt, and no auditor an attestation, that it signs.",
            "Restore gateway.key, or statements.cbor, from your copy.",
            Code.NETWORK_DAMAGED,
        )
    return opened


def restore_admission(
    store: Store, network_id: bytes, policy: Policy, events: Sequence[OperatorEvent]
) -> AdmissionState:
    """The admission state of everything that is stored."""
    centres = store.centres(0, store.admission_head().length)
    try:
        return AdmissionState.restore(
            network_id,
            policy,
            _checked_log(store, network_id),
            events,
            {centre.cell: (centre.lat_e6, centre.lon_e6) for centre in centres},
        )
    except ValueError as error:
        raise _store_damaged(f"{error}.") from error


def read_events(
    store: Store, network_id: bytes, statements: Sequence[KeyStatement]
) -> list[OperatorEvent]:
    """The operator log, opened."""
    events: list[OperatorEvent] = []
    head = store.operator_head()
    stored = store.events(0, head.length)
    chain = logs.chain_over(
        logs.chain_start(logs.OPERATOR_LABEL, network_id),
        [logs.operator_cbor(data) for data in stored],
    )
    if chain != head.hash:
        raise _store_damaged("The hash chain of the operator log is broken.")
    for data in stored:
        event = open_operator_event(data, network_id, statements)
        if isinstance(event, Verdict):
            raise _store_damaged(f"An operator event is {event.name.lower()}.")
        events.append(event)
    return events


def _checked_log(store: Store, network_id: bytes) -> Iterator[tuple[AdmissionEntry, bytes]]:
    """The admission log in order; ValueError if its chain does not hold."""
    chain = logs.chain_start(logs.ADMISSION_LABEL, network_id)
    length = 0
    for logged in store.iterate():
        chain = logs.chain_next(chain, logs.admission_cbor(logged.entry))
        length += 1
        yield logged.entry, logged.data
    head = store.admission_head()
    if (length, chain) != (head.length, head.hash):
        raise ValueError("the hash chain of the admission log is broken")


def _store_damaged(why: str) -> OperatorFault:
    return OperatorFault(
        "The database is damaged.",
        why,
        "Stop the gateway, keep the file for inspection, and restore the last good copy; boards "
        "send again what has no receipt.",
        Code.STORE_CORRUPT,
    )
