"""`cairn claim`: what an owner may claim, with the proof that a contract checks."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import data_option, json_option
from gateway.cli.output import emit_json, print_facts

if TYPE_CHECKING:
    from gateway.shell.store.base import StoredEpoch


@click.group()
def claim() -> None:
    """Claims: what owners have earned."""


@claim.command()
@click.argument("owner")
@click.option("--epoch", "number", type=click.IntRange(0), help="Default: the newest closed one.")
@data_option
@json_option
def proof(owner: str, number: int | None, data_dir: Path | None, as_json: bool) -> None:
    """Print the Merkle proof of everything that OWNER (40 hex digits) has earned so far."""
    from gateway.cli.data import last_epoch, opened, stored_epoch
    from gateway.cli.stations import tokens
    from gateway.core.merkle import Tree
    from gateway.core.state import decode_state
    from gateway.settlement.claims import build_claim

    owner_id = _owner_id(owner)
    with opened(data_dir) as data:
        stored = last_epoch(data.store) if number is None else stored_epoch(data.store, number)
    totals = decode_state(stored.closing).cumulative
    cumulative = {owner: total for owner, total in totals.items() if total}
    if owner_id not in cumulative:
        raise _unknown(owner_id, stored.epoch)
    amount = cumulative[owner_id]
    tree = Tree(cumulative.items())
    _check(stored, tree.root)
    document = build_claim(tree, owner_id, stored.epoch, stored.manifest_hash)
    if as_json:
        emit_json(document)
        return
    print_facts(
        [
            ("owner", document["owner"]),
            ("amount", f"{amount} base units ({tokens(amount)} tokens)"),
            ("epoch", str(stored.epoch)),
            ("root", tree.root.hex()),
            *(("proof", sibling) for sibling in document["proof"]),
        ]
    )


def _check(stored: "StoredEpoch", root: bytes) -> None:
    from gateway.core.manifest import decode_manifest
    from gateway.shell.errors import Code, OperatorFault

    if decode_manifest(stored.manifest).payout_root != root:
        raise OperatorFault(
            f"Epoch {stored.epoch} is not stored as it was settled.",
            "The amounts in its closing state do not give the root in its manifest.",
            "Restore the database from your last good copy; `cairn audit` says what is wrong.",
            Code.EPOCH_DAMAGED,
        )


def _owner_id(text: str) -> bytes:
    digits = text.lower().removeprefix("0x")
    if len(digits) != 40 or not set(digits) <= set("0123456789abcdef"):
        raise click.BadParameter(
            "an owner is 40 hex digits, with or without 0x", param_hint="OWNER"
        )
    return bytes.fromhex(digits)


def _unknown(owner: bytes, epoch: int) -> Exception:
    from gateway.shell.errors import Code, OperatorFault

    return OperatorFault(
        f"The owner 0x{owner.hex()} has earned nothing up to epoch {epoch}.",
        "No station that names this owner was paid.",
        "`cairn epoch show EPOCH --json` lists the stations with their owners.",
        Code.OWNER_UNKNOWN,
    )
