"""`cairn release status`: which station runs what."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import data_option, json_option, load_settings
from gateway.cli.output import FOUND, emit_json, print_facts, print_table

if TYPE_CHECKING:
    from gateway.shell.releases import Published
    from gateway.shell.rollout import Line, Station
    from gateway.shell.settings import Loaded

_COLUMNS = ("station", "version", "counter", "failed", "last heard", "state")
_NUMBERS = ("counter", "failed")
_PAGE = 1_000


@click.command()
@data_option
@json_option
def status(data_dir: Path | None, as_json: bool) -> None:
    """Show how far the announced release has come: who runs it, who waits, where it failed.

    Works beside a running gateway and without one. What a station runs is what its newest hello
    says. Exit code 1 if the announced release failed on a station.
    """
    from gateway.shell.releases import announced, published
    from gateway.shell.rollout import State, counts, rollout

    loaded = load_settings(data_dir=data_dir)
    folder = loaded.settings.data_dir
    wanted, known = announced(folder), published(folder)
    lines = rollout(_stations(loaded), wanted)
    numbers = counts(lines)
    if as_json:
        emit_json(
            {
                "announced": None if wanted is None else asdict(wanted),
                "releases": [asdict(one) for one in known],
                "counts": numbers,
                "stations": [line._asdict() for line in lines],
            }
        )
    else:
        _print(wanted, known, lines, numbers)
    if numbers[State.FAILED.value]:
        click.get_current_context().exit(FOUND)


def _stations(loaded: "Loaded") -> Iterator["Station"]:
    """Of the gateway's index: by its API while it runs, for it alone writes that."""
    from gateway.shell.lock import running
    from gateway.shell.network import DATABASE

    addresses = running(loaded.settings.data_dir)
    if addresses is not None:
        yield from _asked(addresses.http)
    elif (loaded.settings.data_dir / DATABASE).exists():
        yield from _indexed(loaded)


def _asked(url: str) -> Iterator["Station"]:
    import httpx

    from gateway.shell.errors import Code, OperatorFault
    from gateway.shell.rollout import Station

    after: dict[str, str] = {}
    try:
        # No proxy of the environment: the gateway is on this machine.
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            while True:
                answer = client.get("/v1/stations", params={"limit": str(_PAGE)} | after)
                page = answer.raise_for_status().json()
                for row in page["stations"]:
                    yield Station(row["station"], row["firmware"], row["last_ms"])
                if page["next"] is None:
                    return
                after = {"after": page["next"]}
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise OperatorFault(
            f"The gateway at {url} does not list its stations.",
            f"{error}.",
            "`cairn gateway doctor` says what it lacks; or stop it and try again.",
            Code.API_UNREACHABLE,
        ) from error


def _indexed(loaded: "Loaded") -> Iterator["Station"]:
    from gateway.cli.data import opened
    from gateway.core.ids import device_name
    from gateway.shell.api.index import FILE, MessageIndex
    from gateway.shell.lock import held
    from gateway.shell.rollout import Station

    folder = loaded.settings.data_dir
    with held(folder), opened(folder) as data:
        index = MessageIndex(folder / FILE, data.network.network_id)
        try:
            while not index.follow(data.store):
                pass
            after = b""
            while rows := index.stations(after, None, _PAGE):
                for row in rows:
                    yield Station(device_name(row.device), row.firmware, row.last_ms)
                after = rows[-1].device
        finally:
            index.close()


def _print(
    wanted: "Published | None",
    known: "tuple[Published, ...]",
    lines: "list[Line]",
    numbers: dict[str, int],
) -> None:
    from gateway.shell.rollout import MEANING, State

    if lines:
        print_table(_COLUMNS, [_cells(line) for line in lines], right=_NUMBERS)
        click.echo()
        shown = [state for state in State if numbers[state.value]]
        print_table(
            ("state", "stations", "meaning"),
            [[state.value, str(numbers[state.value]), MEANING[state]] for state in shown],
            right=("stations",),
        )
        click.echo()
    print_facts([("announced", _announced(wanted)), *_withdrawn(known)])


def _cells(line: "Line") -> list[str]:
    return [
        line.device,
        line.version,
        "-" if line.counter is None else str(line.counter),
        str(line.failed or "-"),
        _time(line.last_ms),
        line.state.value,
    ]


def _announced(wanted: "Published | None") -> str:
    if wanted is None:
        return "nothing"
    return f"release {wanted.counter} ({wanted.version}), since {_time(wanted.published_ms)}"


def _withdrawn(known: "tuple[Published, ...]") -> list[tuple[str, Any]]:
    return [
        ("withdrawn", f"release {one.counter} ({one.version}), {_time(one.withdrawn_ms)}")
        for one in known
        if one.withdrawn_ms is not None
    ]


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
