"""`cairn gateway`: running one, and finding out what is wrong with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import PATH, data_option, json_option, load_settings
from gateway.cli.output import FOUND, emit_json, heading, print_facts
from gateway.shell.printable import printable

if TYPE_CHECKING:
    from gateway.shell.doctor import Finding
    from gateway.shell.lock import Addresses

PORT = click.IntRange(0, 65_535)


@click.group()
def gateway() -> None:
    """The gateway: takes messages in, closes epochs, answers over HTTP."""


@gateway.command()
@data_option
@click.option("--mqtt-host", help="Where boards connect. Overrides the setting mqtt_host.")
@click.option("--mqtt-port", type=PORT, help="Port for boards; 0 takes a free one.")
@click.option("--mqtt-tls-cert", type=PATH, help="Certificate chain (PEM) for boards.")
@click.option("--mqtt-tls-key", type=PATH, help="Private key (PEM) of that certificate.")
@click.option("--http-host", help="Where the HTTP API listens.")
@click.option("--http-port", type=PORT, help="Port of the HTTP API; 0 takes a free one.")
@click.option(
    "--clock",
    type=click.Choice(["real", "driven"]),
    help="Protocol time: the machine's, or driven by ticks (simulated networks only).",
)
@click.option("--broker-url", help="Take messages from this broker instead of listening.")
@click.option("--broker-user", help="User name at that broker.")
@click.option("--broker-password-file", type=PATH, help="File with the password there.")
@click.option("--broker-ca-file", type=PATH, help="Certificates that may vouch for it.")
@click.option(
    "--until-stdin-closes",
    is_flag=True,
    hidden=True,
    help="End in order when stdin does: for a program that runs a gateway and may be killed.",
)
@json_option
def run(data_dir: Path | None, as_json: bool, until_stdin_closes: bool, **flags: Any) -> None:
    """Run the gateway until Ctrl-C or SIGTERM, which end it in order; a second one at once.

    Prints one line when all listens. Logs go to stderr. Exit code 0 after an orderly end, 3 if
    the disk or another part of the surroundings failed it.
    """
    import asyncio

    loaded = load_settings(data_dir=data_dir, **flags)

    def announce(addresses: "Addresses") -> None:
        _announce(addresses, as_json)

    from gateway.shell.log import start_logging
    from gateway.shell.runtime import run_gateway

    start_logging()
    asyncio.run(run_gateway(loaded, announce, until_stdin_closes=until_stdin_closes))


@gateway.command()
@data_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """Check a gateway, running or not, and say what to do. Exit code 1 if a check failed.

    A check that builds on a failed one is skipped: one fault is one finding.
    """
    from gateway.shell.doctor import Status, examine

    findings = examine(load_settings(data_dir=data_dir))
    failed = [one for one in findings if one.status is Status.FAILED]
    if as_json:
        emit_json({"ok": not failed, "checks": [_finding_json(one) for one in findings]})
    else:
        _print_findings(findings)
    ctx.exit(FOUND if failed else 0)


def _announce(addresses: "Addresses", as_json: bool) -> None:
    import sys
    from dataclasses import asdict

    if as_json:
        emit_json(asdict(addresses))
    else:
        clock = ", driven clock" if addresses.clock == "driven" else ""
        click.echo(f"gateway up: boards at {addresses.mqtt}, API at {addresses.http}{clock}")
    # Whoever reads a pipe waits for this line.
    sys.stdout.flush()


def _finding_json(finding: "Finding") -> dict[str, str]:
    return {
        "name": finding.name,
        "status": str(finding.status),
        "what": finding.what,
        "why": finding.why,
        "do": finding.do,
    }


def _print_findings(findings: "list[Finding]") -> None:
    from gateway.shell.doctor import Status

    print_facts([(str(one.status), f"{one.name}: {printable(one.what)}") for one in findings])
    for one in findings:
        if one.status is Status.FAILED:
            click.echo()
            heading(f"{one.name}: {printable(one.what)}")
            print_facts([("  why", printable(one.why)), ("  do", printable(one.do))])
