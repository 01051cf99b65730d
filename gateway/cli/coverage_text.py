"""Coverage as a page: the place test, the links and every beacon of a station, in words.

It knows the documents of coverage_json.py and explain_coverage.py, and nothing of stores.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from gateway.cli.output import heading, print_facts, print_table
from gateway.core.explain import decimal

Tree = Mapping[str, Any]

RADIOS = ("LoRa", "ESP-NOW", "BLE")
_LORA = 0
_PERCENT_EXPONENT = -4
_CENTI, _MILLI = -2, -3
_LINK_COLUMNS = ("heard", "silent", "excess", "distance", "weight")
_SHOWN_EARS = 6


def print_station(document: Tree) -> None:
    """Print all that is known of one station's coverage in an epoch."""
    heading(headline(document))
    print_facts(_facts(document))
    _print_place(document)
    _section(f"Links: who heard {document['station']}, or should have")
    print_link_table(document["links"], "witness")
    _section(f"Links: what {document['station']} heard as a witness")
    print_link_table(document["witness_of"], "beaconer")
    _print_advice(document)
    _print_beacons(document["beacons"])


def headline(document: Tree) -> str:
    """One line: what the day came to, and why not more."""
    place = document["place"]
    word = "no place test" if place is None else place["verdict"].replace("_", " ")
    return (
        f"Coverage {percent(document['u_ppm'])} useful, {percent(document['v_ppm'])} verifiable: "
        f"{document['class']}, {word}"
    )


def _facts(document: Tree) -> list[tuple[str, str]]:
    hops = document["hops"]
    path = "none to an audited station" if hops is None else path_words(hops)
    on_site = ", ".join(document["co_located"]) or "nobody"
    weight = decimal(document["witness_ppm"], -6).rstrip("0").rstrip(".")
    return [
        ("station", document["station"]),
        ("epoch", str(document["epoch"])),
        ("beacons", f"{document['heard']} of {document['expected']} heard by such as count"),
        ("listened", f"{document['listening_hours']} of 24 hours, provably"),
        ("witnesses", f"{document['witnesses']} owners that count, weight {weight}"),
        ("path", path),
        ("on one site with", on_site),
    ]


def path_words(hops: int) -> str:
    """How far a station is from an audited one, over witnesses."""
    if hops == 0:
        return "audited itself"
    return f"{hops} step{'s' if hops > 1 else ''} from an audited station"


def _print_place(document: Tree) -> None:
    place = document["place"]
    if place is None:
        _section("Place: not tested")
        click.echo("Nobody heard the station, or its cell is too coarse to be tested.")
        return
    _section(f"Place: {place['verdict'].replace('_', ' ')}")
    click.echo(f"{place['what']} {place['do']}".rstrip())
    limits = place["limits"]
    silent = place["observations"] - place["heard"]
    print_facts(
        [
            ("asked", f"{place['heard']} witnesses that heard it, {silent} that did not"),
            (
                "odds against it",
                (
                    f"{decimal(place['odds_milli'], _MILLI)} nats without the witness that says "
                    f"most, at most {decimal(limits['odds_milli'], _MILLI)}"
                ),
            ),
            (
                "second-largest |z|",
                (
                    f"{decimal(place['second_z_milli'], _MILLI)}, at most "
                    f"{decimal(limits['second_z_milli'], _MILLI)}; the largest is "
                    f"{decimal(place['max_z_milli'], _MILLI)}"
                ),
            ),
            (
                "most likely place",
                f"{place['best_m']} m from the claim, 95 % within {place['radius_m']} m",
            ),
        ]
    )
    if place["z_milli"]:
        click.echo()
        rows = [[one["witness"], decimal(one["z_milli"], _MILLI)] for one in place["z_milli"]]
        print_table(["witness", "z at the claim"], rows, right=["z at the claim"])


def print_links(links: Sequence[Tree]) -> None:
    """Print links of any stations, with both ends."""
    if not links:
        click.echo("no link")
        return
    columns = ["beaconer", "witness", "radio", *_LINK_COLUMNS, "verdict"]
    rows = [[one["beaconer"], one["witness"], *_link_cells(one)] for one in links]
    print_table(columns, rows, right=_LINK_COLUMNS)
    click.echo()
    counts = Counter(one["verdict"] for one in links)
    meaning = {one["verdict"]: one["what"] for one in links}
    print_table(
        ["verdict", "links", "meaning"],
        [[verdict, str(number), meaning[verdict]] for verdict, number in sorted(counts.items())],
        right=["links"],
    )


def print_link_table(links: Sequence[Tree], other: str) -> None:
    """Print the links of one station; other: the key of the end that differs."""
    if not links:
        click.echo("none")
        return
    columns = [other, "radio", *_LINK_COLUMNS, "verdict"]
    rows = [[one[other], *_link_cells(one)] for one in links]
    print_table(columns, rows, right=_LINK_COLUMNS)


def _link_cells(link: Tree) -> list[str]:
    return [
        radio_name(link["radio"]),
        str(link["heard"]),
        str(link["silent"]),
        f"{decimal(link['excess_cdb'], _CENTI)} dB" if link["excess_cdb"] else "",
        f"{link['distance_m']} m",
        percent(link["weight_ppm"]),
        link["verdict"],
    ]


def _print_advice(document: Tree) -> None:
    """Every verdict of the page with its advice, those of the links of the day included."""
    told: dict[str, str] = {}
    for one in (*document["findings"], *document["links"]):
        count = f" ({one['count']} times)" if one.get("count", 1) > 1 else ""
        told.setdefault(one["verdict"], f"{one['what']} {one['do']}".rstrip() + count)
    if told:
        _section("What the verdicts mean, and what to do")
        print_facts(list(told.items()))


def _print_beacons(beacons: Sequence[Tree]) -> None:
    _section(f"Beacons: {len(beacons)}")
    if not beacons:
        click.echo("None was due that counts: see the findings on commitments and reveals.")
        return
    rows = [
        [
            _time(one["time_ms"]),
            str(one["slot"]),
            f"{decimal(one['power_cdbm'], _CENTI)} dBm",
            str(one["channel"]),
            ", ".join(map(_ear, one["heard"][:_SHOWN_EARS])) + _more(one["heard"]),
            _names(one["silent"]),
        ]
        for one in beacons
    ]
    columns = ["sent (UTC)", "slot", "power", "channel", "heard by, at", "listened in vain"]
    print_table(columns, rows, right=["slot", "power", "channel"])
    click.echo(f"\nIds are cut to {_SHORT} characters here; all of it is in --json.")


_SHORT = 8


def _ear(ear: Tree) -> str:
    snr = "" if ear["snr_cdb"] is None else f"/{_whole(ear['snr_cdb'])}"
    verdict = "" if ear["verdict"] == "heard" else f" {ear['verdict']}"
    radio = "" if ear["radio"] == _LORA else f" {radio_name(ear['radio'])}"
    return f"{ear['witness'][:_SHORT]} {_whole(ear['rssi_cdbm'])}{snr}{radio}{verdict}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(name[:_SHORT] for name in names[:_SHOWN_EARS]) + _more(names)


def _more(of: Sequence[object]) -> str:
    return f" and {len(of) - _SHOWN_EARS} more" if len(of) > _SHOWN_EARS else ""


def _whole(centi: int) -> str:
    """Hundredths of a decibel as the nearest whole one."""
    return str((centi + 50) // 100)


def radio_name(radio: int) -> str:
    """The radio in one word; its number if this software does not know it."""
    return RADIOS[radio] if 0 <= radio < len(RADIOS) else str(radio)


def percent(ppm: int) -> str:
    """Parts per million as percent, exactly."""
    text = decimal(ppm, _PERCENT_EXPONENT)
    return f"{text.rstrip('0').rstrip('.')} %"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%H:%M:%S")


def _section(title: str) -> None:
    click.echo()
    heading(title)
