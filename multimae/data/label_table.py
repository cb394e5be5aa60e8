"""The classes of samples in a table, `labels.csv`: a head, then a row `name,label` for each sample. Free of torch."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from multimae.data.files import EXACT, PHOTOGRAPHIC, composed
from multimae.data.sample import DataError

LABEL_TABLE = "labels.csv"
HEAD = ("name", "label")
WANTED = "wanted name,label in every row"
OTHER_CODES = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """Hold one row below the head; `fault` says what is wrong with it, "" where nothing is."""

    number: int
    name: str
    label: str
    fault: str = ""


def read_rows(table: Path) -> Iterator[LabelRow]:
    """Yield the rows below the head, sound or not, as a spreadsheet would read them: quotes, any ends of lines.

    Spaces around names and labels do not count. A label may hold commas without quotes.
    """
    content = table.read_bytes()
    kind = "UTF-16" if content.startswith(OTHER_CODES) else "not UTF-8"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{table} is {kind}, see line {place}; save it as a table of commas in UTF-8") from error
    seen: dict[str, str] = {}
    for number, fields in enumerate(_fields(text, table=table), start=1):
        if number > 1 and any(field.strip() for field in fields):
            row = _row(number, fields[0].strip(), _label(fields), seen=seen)
            seen.setdefault(row.name, row.label)
            yield row


def label_rows(table: Path) -> dict[str, str]:
    """Return the class of each sample that a table lists; raise DataError at the first row that is wrong."""
    rows = list(read_rows(table))
    if wrong := [row for row in rows if row.fault]:
        more = f" (and {len(wrong) - 1} rows like it)" if len(wrong) > 1 else ""
        raise DataError(f"{table}: {wrong[0].fault}{more}")
    return {row.name: row.label for row in rows}


def write_rows(table: Path, labels: Mapping[str, str]) -> None:
    """Write a table, with quotes where they are needed."""
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD)
        writer.writerows(labels.items())


def unlisted(table: Path, names: Iterable[str], *, listed: Mapping[str, str]) -> str:
    """Say which samples a table lacks and, where its way of writing names may be why, that; "" where it has all."""
    lacking = [name for name in names if name not in listed]
    if not lacking:
        return ""
    why = "add them"
    with table.open(encoding="utf-8-sig") as file:
        first = composed((next(csv.reader(file), None) or [""])[0].strip())
    if first in lacking:
        why = f"its first row is the head {','.join(HEAD)}, and here a sample's: put the head above it"
    elif any(f"{lacking[0]}.{ending}" in listed for ending in (*EXACT, *PHOTOGRAPHIC)):
        why = "its names have the suffixes of files: take those off"
    elif any(name.rpartition("/")[2] == lacking[0].rpartition("/")[2] for name in listed):
        why = f"its names have other folders: {lacking[0]} is the whole name of that sample"
    return f"{table} lacks {len(lacking)} samples, such as {lacking[0]}; {why}"


def _fields(text: str, *, table: Path) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""))
    except csv.Error as error:
        raise DataError(f"{table} cannot be read as a table of commas: {error}") from error


def _label(fields: list[str]) -> str | None:
    """Return what stands behind the first comma, with or without quotes; None where there is no comma."""
    if len(fields) < len(HEAD):
        return None
    label = ",".join(fields[1:]).strip()
    # A space ahead of quotes makes them letters.
    spaced = len(label) > 1 and label[0] == label[-1] == '"'
    return label[1:-1].replace('""', '"').strip() if spaced else label


def _row(number: int, name: str, label: str | None, *, seen: Mapping[str, str]) -> LabelRow:
    if label is None:
        return LabelRow(
            number=number, name=name, label="", fault=f"row {number} is {name!r}, {WANTED}, and a comma between"
        )
    name, label, fault = composed(name), composed(label), ""
    if not (name and label) or label.endswith(","):
        fault = f"row {number} is {f'{name},{label}'!r}, {WANTED}, none of them empty"
    elif "\n" in name + label:
        fault = f"row {number} begins with {name[:40]!r} and goes on over several lines: close its quotes"
    elif seen.get(name, label) != label:
        fault = f"row {number} says {label!r} of {name}, a row above it {seen[name]!r}; keep one"
    return LabelRow(number=number, name=name, label=label, fault=fault)
