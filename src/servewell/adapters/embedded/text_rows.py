"""Rows of JSON, JSON lines and CSV, with the place of every fault.

Whatever the size of a file, one line of it is held at a time. A JSON array, which stands between
its brackets as one value, is read whole and has a limit instead.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

import msgspec

from servewell.ports.tables import Row, TableFaultsError

WHOLE_BYTES_MAX: Final = 64 << 20  # of a JSON array or object, and of one line of any file
WHITESPACE: Final = " \t\r\n"
MALFORMED: Final = "correct it there, then do the same again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that is open, and what to call it."""

    name: str
    stream: IO[bytes]
    whole_bytes_max: int = WHOLE_BYTES_MAX


def json_rows(source: Source) -> Iterator[Row]:
    """Yield the rows of JSON lines, of a JSON array, or one object; the first line tells which.

    Raises: TableFaultsError.
    """
    lines = _lines(source)
    number, head = next(((at, text) for at, text in lines if text.strip()), (1, ""))
    if not head:
        return
    first = _value_if_whole(source, head, line=number)
    if isinstance(first, dict):
        yield first
        yield from _objects(source, lines)
    else:
        yield from _document(source, head, line=number)


def json_line_rows(source: Source) -> Iterator[Row]:
    """Yield one row for each line that is not empty.

    Raises: TableFaultsError.
    """
    return _objects(source, _lines(source))


def csv_rows(source: Source) -> Iterator[Row]:
    """Yield one row for each record below the header; every value is a text, or None if empty.

    Raises: TableFaultsError.
    """
    records = _csv_records(source)
    line, heads = next(records, (1, []))
    _check_heads(source, heads, line=line)
    for number, cells in records:
        if len(cells) != len(heads):
            raise fault(
                source,
                line=number,
                why=f"it has {len(cells)} values, and the header names {len(heads)} columns",
                fix="give each line one value for each column; quote a value that holds a comma",
            )
        yield {head: cell or None for head, cell in zip(heads, cells, strict=True)}


def fault(
    source: Source, *, why: str, fix: str = MALFORMED, line: int = 0, column: int = 0
) -> TableFaultsError:
    """Return the error about a place in a file; lines and columns count from 1, 0 is left out."""
    place = [source.name]
    place += [f"line {line}"] if line else []
    place += [f"column {column}"] if column else []
    return TableFaultsError(f"{', '.join(place)}: this cannot be read.", why=why, fix=fix)


def _lines(source: Source) -> Iterator[tuple[int, str]]:
    """Yield each line with its number; a byte order mark before the first is dropped."""
    number = 0
    while data := source.stream.readline(source.whole_bytes_max + 1):
        number += 1
        if len(data) > source.whole_bytes_max:
            raise _too_large(source, line=number)
        yield number, _text(source, data, line=number)


def _text(source: Source, data: bytes, *, line: int) -> str:
    try:
        return data.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        raise fault(
            source,
            line=line + before.count("\n"),
            column=len(before) - before.rfind("\n"),
            why=f"the byte 0x{data[error.start]:02x} is not UTF-8",
            fix="save the file as UTF-8, then do the same again",
        ) from error


def _objects(source: Source, lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    for number, text in lines:
        if not text.strip():
            continue
        value = _value(source, text, line=number)
        if not isinstance(value, dict):
            raise fault(
                source,
                line=number,
                column=1,
                why=f"it holds {_kind(value)}, and a row is an object",
            )
        yield value


def _document(source: Source, head: str, *, line: int) -> Iterator[Row]:
    """Yield the rows of a JSON value that begins with `head` and goes on to the end of the file."""
    rest = source.stream.read(source.whole_bytes_max + 1 - len(head))
    if len(head) + len(rest) > source.whole_bytes_max:
        raise _too_large(source, line=0)
    text = head + _text(source, rest, line=line + 1)
    value = _value(source, text, line=line)
    rows = value if isinstance(value, list) else [value]
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            start = _start_of(text, index) if isinstance(value, list) else 0
            at, column = _place(text, start, line=line)
            raise fault(
                source, line=at, column=column, why=f"here is {_kind(row)}, and a row is an object"
            )
        yield row


def _value_if_whole(source: Source, text: str, *, line: int) -> object:
    try:
        return _value(source, text, line=line)
    except TableFaultsError:
        return None


def _value(source: Source, text: str, *, line: int) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _python_value(source, text, line=line)


def _python_value(source: Source, text: str, *, line: int) -> object:
    """Read JSON as Python writes it, with NaN for a missing number; or say where it is none."""
    try:
        value = json.loads(text, parse_constant=_missing)
        msgspec.json.encode(value)
    except json.JSONDecodeError as error:
        at, column = _place(text, error.pos, line=line)
        raise fault(source, line=at, column=column, why=f"it is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        why = f"it holds what cannot be sent: {str(error)[:100]}"
        raise fault(source, line=line, why=why) from error
    return value


def _missing(name: str) -> None:
    if name != "NaN":
        raise ValueError(f"`{name}` is no finite number")


def _place(text: str, offset: int, *, line: int) -> tuple[int, int]:
    """Return line and column of an offset in a text whose first line has the number `line`."""
    before = text[:offset]
    return line + before.count("\n"), offset - before.rfind("\n")


def _start_of(array: str, index: int) -> int:
    """Return where an element of a JSON array starts; the array is known to be well formed."""
    decoder = json.JSONDecoder()
    at = _after_space(array, array.index("[") + 1)
    for _ in range(index):
        at = array.index(",", decoder.raw_decode(array, at)[1]) + 1
        at = _after_space(array, at)
    return at


def _after_space(text: str, at: int) -> int:
    while text[at] in WHITESPACE:
        at += 1
    return at


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds = {bool: "a boolean", str: "a text", list: "an array"}
    return kinds.get(type(value), "a number")


def _too_large(source: Source, *, line: int) -> TableFaultsError:
    megabytes = source.whole_bytes_max >> 20
    return fault(
        source,
        line=line,
        why=f"a line, or a JSON array, is held in memory whole, so it ends at {megabytes} MiB",
        fix="write one JSON object a line into a `.jsonl` file, which may have any size",
    )


def _csv_records(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not empty with the number of its first line."""
    reader = csv.reader((text for _, text in _lines(source)), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = f"it is not CSV with commas and double quotes: {error}"
            raise fault(source, line=line, why=why) from error
        if cells:
            yield line, cells


def _check_heads(source: Source, heads: list[str], *, line: int) -> None:
    if not heads:
        raise fault(
            source,
            why="it is empty, and a CSV file begins with the names of its columns",
            fix="write the names of the columns into the first line",
        )
    for index, head in enumerate(heads):
        if not head or head in heads[:index]:
            what = f"the name `{head}` stands there twice" if head else "it has no name"
            raise fault(
                source,
                line=line,
                why=f"of column {index + 1}, {what}",
                fix="give every column a name of its own",
            )
