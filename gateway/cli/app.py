"""The command `cairn`: its verbs, and what happens when one fails or is interrupted."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from gateway.cli import (
    audit,
    bench,
    board,
    broker,
    claim,
    config,
    coverage,
    demo,
    epoch,
    explain,
    export,
    firmware,
    fleet,
    gateway,
    network,
    release,
    station,
)
from gateway.cli.faults import as_fault, exit_code
from gateway.cli.output import print_fault

DISTRIBUTION = "cairn-depin"
INTERRUPTED = 130


class _Program(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Every commit is one transaction, so there is nothing to undo.
            click.echo("stopped; everything that was committed is kept", err=True)
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            fault = as_fault(error)
            if fault is None:
                raise
            print_fault(fault)
            ctx.exit(exit_code(fault))


def _show_version(ctx: click.Context, _parameter: click.Parameter, given: bool) -> None:
    if not given or ctx.resilient_parsing:
        return
    try:
        click.echo(f"cairn {version(DISTRIBUTION)}")
    except PackageNotFoundError:
        click.echo("cairn, run from sources that are not installed")
    ctx.exit()


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Print the version and leave.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="CAIRN_CONFIG",
    help="Settings file. Default: cairn.toml in the working directory, if there is one.",
)
def main(config: Path | None) -> None:
    """Cairn: signed sensor readings in, audited rewards out.

    Exit codes: 0 all well, 1 a problem was found, 2 wrong use, 3 something cannot be reached.
    """


for _verb in (
    demo.demo,
    fleet.fleet,
    firmware.firmware,
    release.release,
    board.board,
    epoch.epoch,
    export.export,
    audit.audit,
    explain.explain,
    coverage.coverage,
    claim.claim,
    network.network,
    broker.broker,
    gateway.gateway,
    station.station,
    config.config,
    bench.bench,
):
    main.add_command(_verb)
