"""Tables as Parquet files. Needs pyarrow, which is installed by the extra `parquet` alone."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from gateway.shell.products.table import COLUMNS, Value

INSTALL = 'pip install "cairn-depin[parquet]"'
# Fixed, as is everything else that decides the bytes; they still depend on pyarrow's version.
_ROWS_PER_GROUP = 65_536
_COMPRESSION = "zstd"


def available() -> bool:
    """Whether Parquet can be written here."""
    return find_spec("pyarrow") is not None


def write_parquet(path: Path, rows: Iterable[Mapping[str, Value]]) -> None:
    """Write products; integers of 64 bits, floats of 64 bits, text, null where there is none."""
    arrow: Any = import_module("pyarrow")
    files: Any = import_module("pyarrow.parquet")
    types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64()}
    schema = arrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    with files.ParquetWriter(path, schema, compression=_COMPRESSION) as writer:
        for group in _groups(iter(rows)):
            writer.write_table(arrow.Table.from_pylist(group, schema))


def _groups(rows: Iterator[Mapping[str, Value]]) -> Iterator[list[Mapping[str, Value]]]:
    while group := list(islice(rows, _ROWS_PER_GROUP)):
        yield group
