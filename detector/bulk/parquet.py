"""Parquet files with a page in each row: read, cleaned, and labels written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from detector.bulk.jsonl import no_column
from detector.bulk.removed import ADDED, Removed
from detector.bulk.sources import COLUMNS, Failure, Input, Source, missing, unreadable
from detector.page import LABELS, PageError

_ROWS_AT_ONCE = 64
_ROWS_A_GROUP = 1_000


@dataclass(frozen=True, slots=True)
class Cell(Source):
    """A row's page; ``content`` is None where the row has none."""

    def page(self) -> bytes | str:
        """The page in the row's column. Raises PageError where there is none."""
        if self.content is None:
            raise PageError("the row has no page")
        return self.content

    def cleaned_form(self, kind: str) -> None:
        """As for `Source`."""
        return

    def cleaned(self, removed: Removed | None) -> Removed:
        """What `CleanedTable` needs to know of the row."""
        return removed or Removed()


@dataclass
class ParquetPages:
    """The pages of a file. Raises PageError where it cannot be opened, or has no column of pages."""

    source: Input
    column: str | None
    keeps: bool = False
    groups: deque[Any] = field(default_factory=deque)

    def __post_init__(self) -> None:
        parquet = pyarrow("parquet")
        arrow = pyarrow()
        try:
            self.file = parquet.ParquetFile(self.source.path)
        except arrow.ArrowException as error:
            raise PageError(f"not a Parquet file, or damaged ({_first_line(error)})") from error
        except OSError as error:
            raise unreadable(error) from error
        self.schema = self.file.schema_arrow
        names = (self.column,) if self.column else COLUMNS
        name = next((name for name in names if name in self.schema.names), None)
        if name is None:
            raise PageError(no_column(self.column))
        self.at = self.schema.names.index(name)
        if not _holds_text(self.schema.field(self.at).type):
            raise PageError(f"column {name} is neither text nor bytes")

    def keep_rows(self) -> None:
        """Keep the groups of rows that the pages stand in, for `CleanedTable`.

        Raises PageError where they have columns of its names.
        """
        if taken := [name for name in ADDED if name in self.schema.names]:
            raise PageError(f"the file has a column {taken[0]} already")
        self.keeps = True

    def __iter__(self) -> Iterator[Source | Failure]:
        row = 0
        size = self.source.size // max(self.file.metadata.num_rows, 1)
        try:
            for values in self._values():
                for value in _python(values):
                    row += 1
                    yield Cell(f"{self.source.path}:{row}", self.source.name, size, value)
        except (pyarrow().ArrowException, OSError) as error:
            told = f"damaged after row {row} ({_first_line(error)}); the rest of the file is left out"
            yield Failure(self.source.path, PageError(told))

    def _values(self) -> Iterator[Any]:
        """The column in small pieces: to clean, whole groups of rows are held, else nothing is."""
        if not self.keeps:
            name = self.schema.names[self.at]
            yield from (batch.column(0) for batch in self.file.iter_batches(_ROWS_AT_ONCE, columns=[name]))
            return
        for number in range(self.file.num_row_groups):
            group = self.file.read_row_group(number)
            if len(group):
                self.groups.append(group)
            column = group.column(self.at)
            yield from (column.slice(start, _ROWS_AT_ONCE) for start in range(0, len(column), _ROWS_AT_ONCE))


class CleanedTable:
    """A file of cleaned rows, in the groups of the one they were read from."""

    def __init__(self, file: BinaryIO, pages: ParquetPages) -> None:
        arrow = pyarrow()
        self.pages = pages
        self.removed: list[Removed] = []
        counts = arrow.struct([(label, arrow.int32()) for label in LABELS])
        self.added = [arrow.field(name, kind) for name, kind in zip(ADDED, (counts, arrow.int32()), strict=True)]
        schema = pages.schema
        for added in self.added:
            schema = schema.append(added)
        groups = pages.file.metadata
        codec = groups.row_group(0).column(0).compression if groups.num_row_groups else "SNAPPY"
        self.writer = pyarrow("parquet").ParquetWriter(
            file, schema, compression="NONE" if codec == "UNCOMPRESSED" else codec
        )

    def write(self, removed: Removed) -> None:
        """Add the next row; a group is written with its last."""
        self.removed.append(removed)
        group = self.pages.groups[0]
        if len(self.removed) == len(group):
            self.writer.write_table(self._cleaned(group), row_group_size=len(group))
            self.pages.groups.popleft()
            self.removed = []

    def close(self) -> None:
        """End the table."""
        self.writer.close()

    def _cleaned(self, group: Any) -> Any:
        arrow = pyarrow()
        at, field_ = self.pages.at, group.schema.field(self.pages.at)
        if any(removed.left is not None for removed in self.removed):
            left = [None if new.left is None else new.left.encode("utf-8", "replace") for new in self.removed]
            new = arrow.array(left, arrow.large_binary()).cast(field_.type)
            group = group.set_column(at, field_, pyarrow("compute").if_else(new.is_valid(), new, group.column(at)))
        for added in self.added:
            values = [removed.columns()[added.name] for removed in self.removed]
            group = group.append_column(added, arrow.array(values, added.type))
        return group


class ScannedTable:
    """A file of labels, a row a page: path, input, and a list of blocks, as the JSON objects have them."""

    def __init__(self, file: BinaryIO) -> None:
        arrow = pyarrow()
        block = [(name, arrow.string()) for name in ("text", "label", "kind")] + [("score", arrow.float32())]
        block += [("start", arrow.int32()), ("end", arrow.int32()), ("xpath", arrow.string())]
        columns = [("path", arrow.string()), ("record", arrow.string()), ("input", arrow.string())]
        self.schema = arrow.schema([*columns, ("blocks", arrow.list_(arrow.struct(block)))])
        self.writer = pyarrow("parquet").ParquetWriter(file, self.schema)
        self.rows: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any]) -> None:
        """Add a page."""
        self.rows.append(row)
        if len(self.rows) == _ROWS_A_GROUP:
            self._flush()

    def close(self) -> None:
        """End the table."""
        self._flush()
        self.writer.close()

    def _flush(self) -> None:
        if self.rows:
            self.writer.write_table(pyarrow().Table.from_pylist(self.rows, self.schema))
            self.rows = []


def pyarrow(module: str = "") -> Any:
    """pyarrow, or a module of it. Raises PageError where it is not installed."""
    import importlib

    try:
        return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ImportError as error:
        raise missing("pyarrow", "parquet") from error


def _holds_text(kind: Any) -> bool:
    types = pyarrow("types")
    return any(getattr(types, f"is_{name}")(kind) for name in ("string", "large_string", "binary", "large_binary"))


def _python(values: Any) -> list[bytes | str | None]:
    """The values of a column; what is not valid in it is none."""
    try:
        return values.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        return [_python(values.slice(at, 1))[0] if len(values) > 1 else None for at in range(len(values))]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
