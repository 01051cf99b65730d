"""Labels for boards: a QR code, a name for people, the station's; sheets of A4 as SVG or PDF.

The code holds `cairn:NETWORK/STATION`, or the address of the gateway's page about the station.
Both sheets are drawn from the same lines, so one test of what a camera reads is a test of both.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from xml.sax.saxutils import escape

from gateway.shell.errors import Code, OperatorFault

PAGE_MM = (210.0, 297.0)
_COLUMNS, _ROWS = 3, 8
_LABEL_MM = (70.0, 36.0)
_TOP_MM = (PAGE_MM[1] - _ROWS * _LABEL_MM[1]) / 2
_INSET_MM = 4.0
_CODE_MM = 28.0
_QUIET_MODULES = 4
_TEXT_MM = _INSET_MM + _CODE_MM + 1.5
_NAME_SIZE_MM, _ID_SIZE_MM = 3.6, 3.0
_NAME_CHARACTERS, _ID_CHARACTERS = 16, 13
_POINTS_PER_MM = 72 / 25.4
# 7 % of a code may be dirty; 15 % cost one version more on our texts.
_ERROR = "m"


@dataclass(frozen=True, slots=True)
class Label:
    """name: for people; device: 26 characters; content: what the code holds."""

    name: str
    device: str
    content: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A black rectangle, in mm from the page's upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; y is its base line."""

    x: float
    y: float
    size: float
    text: str


def content(network_id: str, device: str, gateway: str | None) -> str:
    """What a code holds: the page of the station at a gateway, or the station by its names."""
    if gateway is not None:
        return f"{gateway.rstrip('/')}/flash#station={device}"
    return f"cairn:{network_id}/{device}"


def svg(labels: Sequence[Label]) -> str:
    """All pages one under the other."""
    pages = list(_pages(labels))
    width, height = PAGE_MM[0], PAGE_MM[1] * len(pages)
    size = f'width="{width:g}mm" height="{height:g}mm" viewBox="0 0 {width:g} {height:g}"'
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>',
    ]
    for number, (bars, lines) in enumerate(pages):
        down = number * PAGE_MM[1]
        path = "".join(
            f"M{bar.x:.3f} {bar.y + down:.3f}h{bar.width:.3f}v{bar.height:.3f}h-{bar.width:.3f}z"
            for bar in bars
        )
        parts.append(f'<path d="{path}" shape-rendering="crispEdges"/>')
        parts += [
            f'<text x="{line.x:.2f}" y="{line.y + down:.2f}" font-size="{line.size:g}" '
            f'font-family="monospace">{escape(line.text)}</text>'
            for line in lines
        ]
    return "\n".join([*parts, "</svg>", ""])


def pdf(labels: Sequence[Label]) -> bytes:
    """One page a sheet. Courier has no letters beyond cp1252: others become question marks."""
    contents = [_page_content(bars, lines) for bars, lines in _pages(labels)]
    first = 4
    numbers = [first + 2 * place for place in range(len(contents))]
    kids = " ".join(f"{number} 0 R" for number in numbers)
    width, height = (f"{mm * _POINTS_PER_MM:.2f}" for mm in PAGE_MM)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(numbers)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    for number, data in zip(numbers, contents, strict=True):
        packed = zlib.compress(data, 9)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] "
            f"/Resources << /Font << /F 3 0 R >> >> /Contents {number + 1} 0 R >>".encode()
        )
        head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
        objects.append(head + packed + b"\nendstream")
    return _pdf_file(objects)


def _pages(labels: Sequence[Label]) -> Iterator[tuple[list[Bar], list[Line]]]:
    if not labels:
        raise OperatorFault(
            "There are no labels to draw.",
            "Nothing that was given names a board that is set up.",
            "Name boards, or a log of `cairn board provision --batch` in which one is done.",
            Code.LABELS_EMPTY,
        )
    a_page = _COLUMNS * _ROWS
    for start in range(0, len(labels), a_page):
        bars: list[Bar] = []
        lines: list[Line] = []
        for place, label in enumerate(labels[start : start + a_page]):
            row, column = divmod(place, _COLUMNS)
            x, y = column * _LABEL_MM[0], _TOP_MM + row * _LABEL_MM[1]
            bars += _code(label.content, x + _INSET_MM, y + (_LABEL_MM[1] - _CODE_MM) / 2)
            lines += _lines(label, x + _TEXT_MM, y + 11.0)
        yield bars, lines


def _code(text: str, x: float, y: float) -> Iterator[Bar]:
    """A row's dark modules side by side are one bar: fewer seams, fewer bytes."""
    import segno

    matrix = segno.make(text, error=_ERROR, micro=False).matrix
    side = _CODE_MM / (len(matrix) + 2 * _QUIET_MODULES)
    for down, row in enumerate(matrix, _QUIET_MODULES):
        right = _QUIET_MODULES
        for dark, run in groupby(row):
            width = len(list(run))
            if dark:
                yield Bar(x + right * side, y + down * side, width * side, side)
            right += width


def _lines(label: Label, x: float, y: float) -> list[Line]:
    halves = [label.device[:_ID_CHARACTERS], label.device[_ID_CHARACTERS:]]
    name = label.name
    if len(name) > _NAME_CHARACTERS:
        name = name[: _NAME_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    found = [Line(x, y, _NAME_SIZE_MM, name)]
    found += [Line(x, y + 6.5 + 4.5 * row, _ID_SIZE_MM, half) for row, half in enumerate(halves)]
    return found


def _page_content(bars: Sequence[Bar], lines: Sequence[Line]) -> bytes:
    """PDF counts from the lower left corner."""
    scale, height = _POINTS_PER_MM, PAGE_MM[1]
    parts = [
        f"{bar.x * scale:.3f} {(height - bar.y - bar.height) * scale:.3f} "
        f"{bar.width * scale:.3f} {bar.height * scale:.3f} re"
        for bar in bars
    ]
    content = ["\n".join([*parts, "f"]).encode()]
    for line in lines:
        head = f"BT /F {line.size * scale:.2f} Tf {line.x * scale:.2f} "
        head += f"{(height - line.y) * scale:.2f} Td ("
        content.append(head.encode() + _pdf_text(line.text) + b") Tj ET")
    return b"\n".join(content)


def _pdf_text(text: str) -> bytes:
    data = text.encode("cp1252", "replace")
    for sign in (b"\\", b"(", b")"):
        data = data.replace(sign, b"\\" + sign)
    return data


def _pdf_file(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, data in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + data + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\n".encode()
    return bytes(out) + f"startxref\n{start}\n%%EOF\n".encode()
