"""Labels, read back by somebody else's decoder from both kinds of sheet."""

import re
import zlib
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from gateway.board.labels import PAGE_MM, Label, content, pdf, svg
from gateway.shell.errors import Code, OperatorFault

DEVICES = [f"{'abcdefghijklmnopqrstuvwxyz234567'[number]}" * 26 for number in range(26)]
NETWORK = "0123456789abcdef"
DOTS_PER_MM = 8
POINTS_PER_MM = 72 / 25.4


def labels(count: int) -> list[Label]:
    return [
        Label(f"board {number}", device, content(NETWORK, device, None))
        for number, device in enumerate(DEVICES[:count])
    ]


def drawn(bars: list[tuple[float, ...]], height_mm: float) -> np.ndarray:
    """What a printer would put on paper: 255 is white."""
    paper = np.full(
        (round(height_mm * DOTS_PER_MM), round(PAGE_MM[0] * DOTS_PER_MM)), 255, np.uint8
    )
    for x, y, width, height in bars:
        left, right = round(x * DOTS_PER_MM), round((x + width) * DOTS_PER_MM)
        top, bottom = round(y * DOTS_PER_MM), round((y + height) * DOTS_PER_MM)
        paper[top:bottom, left:right] = 0
    return paper


def read(paper: np.ndarray) -> list[str]:
    zxingcpp = pytest.importorskip("zxingcpp", reason="component missing: zxing-cpp (`compare`)")
    return sorted(found.text for found in zxingcpp.read_barcodes(paper))


def svg_bars(text: str) -> list[tuple[float, ...]]:
    paths = ET.fromstring(text).findall("{http://www.w3.org/2000/svg}path")  # noqa: S314
    form = re.compile(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z")
    return [tuple(map(float, bar)) for path in paths for bar in form.findall(path.attrib["d"])]


def pdf_pages(data: bytes) -> list[bytes]:
    heads = re.finditer(rb"/Length (\d+) /Filter /FlateDecode >>\nstream\n", data)
    return [zlib.decompress(data[head.end() : head.end() + int(head[1])]) for head in heads]


def pdf_bars(page: bytes) -> list[tuple[float, ...]]:
    form = re.compile(rb"([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+) re")
    bars = [[float(value) / POINTS_PER_MM for value in bar] for bar in form.findall(page)]
    return [(x, PAGE_MM[1] - y - height, width, height) for x, y, width, height in bars]


@pytest.mark.parametrize("count", [1, 24, 26])
def test_a_camera_reads_every_code_of_an_svg_sheet(count: int) -> None:
    pages = -(-count // 24)
    paper = drawn(svg_bars(svg(labels(count))), PAGE_MM[1] * pages)
    assert read(paper) == sorted(label.content for label in labels(count))


def test_a_camera_reads_every_code_of_a_pdf_sheet() -> None:
    pages = pdf_pages(pdf(labels(26)))
    assert len(pages) == 2
    found = [text for page in pages for text in read(drawn(pdf_bars(page), PAGE_MM[1]))]
    assert sorted(found) == sorted(label.content for label in labels(26))


def test_an_address_as_content() -> None:
    text = content(NETWORK, DEVICES[0], "http://192.0.2.7:8080/")
    assert text == f"http://192.0.2.7:8080/flash#station={DEVICES[0]}"
    assert content(NETWORK, DEVICES[0], None) == f"cairn:{NETWORK}/{DEVICES[0]}"
    assert read(drawn(svg_bars(svg([Label("a", DEVICES[0], text)])), PAGE_MM[1])) == [text]


def test_names_are_written_whole_and_harmless() -> None:
    odd = [Label("<roof> & (yard) \\ über 日本", DEVICES[1], "x")]
    texts = [one.text or "" for one in ET.fromstring(svg(odd)).iter() if one.text]  # noqa: S314
    assert "<roof> & (yard) …"[:15] in "".join(texts)
    assert DEVICES[1][:13] in texts
    assert DEVICES[1][13:] in texts
    page = pdf_pages(pdf(odd))[0].decode("cp1252")
    assert r"<roof> & \(yard" in page
    assert f"({DEVICES[1][13:]}) Tj" in page


def test_a_pdf_is_built_as_its_table_says() -> None:
    data = pdf(labels(25))
    start = int(re.findall(rb"startxref\n(\d+)\n%%EOF", data)[0])
    assert data[start:].startswith(b"xref\n0 8\n")
    places = [int(row) for row in re.findall(rb"(\d{10}) 00000 n ", data)]
    assert len(places) == 7
    for number, place in enumerate(places, 1):
        assert data[place:].startswith(f"{number} 0 obj\n".encode())
    assert b"/Count 2" in data


def test_no_labels_are_a_fault() -> None:
    for draw in (svg, pdf):
        with pytest.raises(OperatorFault) as caught:
            draw([])
        assert caught.value.code == Code.LABELS_EMPTY
