"""Which operator event may be logged next (protocol section 8).

Whatever is in the log counts for ever, so what could not be worked with is refused here.
"""

from gateway.core.epoch_inputs import EpochError
from gateway.core.genesis import DAY_MS
from gateway.core.operator import OperatorEvent, RulesChange, follows
from gateway.core.rules import Rules
from gateway.shell.epochs import check_rules, load_rules
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import Network


def check_event(
    event: OperatorEvent,
    last: OperatorEvent | None,
    rules: Rules,
    network: Network,
    now_ms: int,
) -> None:
    """OperatorFault unless this event may follow `last` at protocol time now_ms."""
    if not follows(event, last):
        raise event_refused("Its serial, prev or time does not continue the operator log.")
    slots = rules.slot_clock
    if event.time_ms > now_ms + slots.future_slots_max * slots.slot_ms:
        raise event_refused("It is dated in the future; nothing could follow it until then.")
    if isinstance(event.body, RulesChange):
        _check_rules_change(event.body, network, now_ms)


def _check_rules_change(change: RulesChange, network: Network, now_ms: int) -> None:
    """Refuse rules that could not close an epoch: once they are logged, none would close."""
    if change.first_epoch <= now_ms // DAY_MS:
        raise event_refused(f"Epoch {change.first_epoch} has begun; rules never reach back.")
    _, rules = load_rules(network, change.rules_hash)
    try:
        check_rules(network, rules)
    except EpochError as error:
        raise event_refused(f"{error.what}: {error.why}.") from error


def event_refused(why: str) -> OperatorFault:
    return OperatorFault(
        "The operator event is refused.",
        why,
        "Sign it again, behind the newest event of this network.",
        Code.EVENT_REFUSED,
    )
