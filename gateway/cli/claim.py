"""`cairn claim`: what an owner may claim, with the proof that a contract checks."""

from pathlib import Path

import click

from gateway.cli.options import data_option, json_option
from gateway.cli.output import emit_json, print_facts


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
    from gateway.cli.data import last_epoch, opened
    from gateway.cli.stations import tokens
    from gateway.shell.published import claim_document, parse_owner, stored_epoch

    owner_id = parse_owner(owner)
    if owner_id is None:
        raise click.BadParameter(
            "an owner is 40 hex digits, with or without 0x", param_hint="OWNER"
        )
    with opened(data_dir) as data:
        stored = last_epoch(data.store) if number is None else stored_epoch(data.store, number)
    document = claim_document(stored, owner_id)
    if as_json:
        emit_json(document)
        return
    amount = int(document["amount"])
    print_facts(
        [
            ("owner", document["owner"]),
            ("amount", f"{amount} base units ({tokens(amount)} tokens)"),
            ("epoch", str(stored.epoch)),
            ("root", document["root"].removeprefix("0x")),
            *(("proof", sibling) for sibling in document["proof"]),
        ]
    )
