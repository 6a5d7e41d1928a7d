"""Reading a CSV or Parquet file, and its columns as numbers, times, dates and rights, vectorised.

Nothing here guesses: a cell that cannot be read makes its row bad, with a reason.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sos_actors.errors import InputError
from sos_actors.market.clocktime import IST_OFFSET_NS, day_number

#: What an unknown value is written as.
NULLS = ("", "nan", "NaN", "NAN", "null", "NULL", "None", "NA", "N/A", "-")
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_NAIVE = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?$"
_YEARS = (1700, 2200)
#: Bytes up to which a CSV file is read by one thread: one of Arrow's blocks.
_SHORT = 1 << 20
_NO_TIME = np.iinfo(np.int64).min
_EPOCH_NS = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}
_RIGHTS = {"CE": 0, "C": 0, "CALL": 0, "PE": 1, "P": 1, "PUT": 1}
Mask = NDArray[np.bool_]


def read_table(path: Path) -> tuple[pa.Table, int]:
    """Give a file's rows, and how many lines of it had a wrong number of columns. CSV cells stay text.

    Raises InputError when the file is missing, unreadable, of an unknown kind or empty.
    """
    name = path.name.lower()
    skipped: list[Any] = []
    try:
        if name.endswith((".parquet", ".pq")):
            table = pq.read_table(path)
        elif name.endswith((".csv", ".csv.gz")):
            table = _read_csv(path, skipped)
        else:
            raise InputError(f"{path}: of an unknown kind: give .csv, .csv.gz or .parquet")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, EOFError, UnicodeDecodeError, OSError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None
    except csv.Error as error:
        raise InputError(f"{path}: its first line is no header ({error})") from None
    if table.num_rows == 0:
        raise InputError(f"{path}: no rows in it")
    return table, len(skipped)


def _read_csv(path: Path, skipped: list[Any]) -> pa.Table:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:
        names = next(csv.reader(lines), [])
    if not names:
        raise InputError(f"{path}: empty")

    def skip(row: Any) -> str:
        skipped.append(row.number)
        return "skip"

    text = pacsv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=list(NULLS),
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    # Threads that Arrow is only just starting abort a process that ends with an error right after a short file.
    threads = pacsv.ReadOptions(use_threads=path.stat().st_size > _SHORT)
    parse = pacsv.ParseOptions(invalid_row_handler=skip)
    return pacsv.read_csv(path, read_options=threads, convert_options=text, parse_options=parse)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    """One contiguous array, dictionaries undone."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # a table of no chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _is_text(array: pa.Array) -> bool:
    return bool(pa.types.is_string(array.type) or pa.types.is_large_string(array.type))


def numbers(column: pa.ChunkedArray) -> tuple[NDArray[np.float64], Mask]:
    """Give a column as float64 (NaN: unknown), and which cells are text or infinite.

    A float32 is the nearest one to a price of two decimals; it is rounded back to the paisa.
    """
    array = _flat(column)
    bad = np.zeros(len(array), np.bool_)
    if _is_text(array):
        array = pc.utf8_trim_whitespace(array)
        try:
            array = pc.cast(array, pa.float64())
        except pa.ArrowInvalid:
            readable = pc.match_substring_regex(array, _NUMBER)
            bad = ~_mask(readable, unknown=True)
            array = pc.cast(pc.if_else(readable, array, None), pa.float64())
    single = pa.types.is_float32(array.type)
    try:
        values = np.array(pc.fill_null(pc.cast(array, pa.float64(), safe=False), np.nan).to_numpy(zero_copy_only=False))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.full(len(array), np.nan), np.ones(len(array), np.bool_)
    infinite = np.isinf(values)
    values[infinite] = np.nan
    return (np.round(values, 2) if single else values), bad | infinite


def _mask(array: pa.Array, *, unknown: bool) -> Mask:
    return np.asarray(pc.fill_null(array, unknown).to_numpy(zero_copy_only=False), dtype=np.bool_)


def times(column: pa.ChunkedArray, time_format: str, zone: str) -> tuple[NDArray[np.int64], Mask]:
    """Give a column as UTC nanoseconds, and which cells are no time. `zone` is that of times which carry none."""
    array = _flat(column)
    if time_format in _EPOCH_NS:
        values, bad = numbers(array)
        bad |= np.isnan(values)
        whole = pc.cast(array, pa.int64(), safe=False) if pa.types.is_integer(array.type) else None
        exact = np.array(pc.fill_null(whole, 0)) if whole is not None else np.where(bad, 0, values).astype(np.int64)
        return exact * _EPOCH_NS[time_format], bad
    if _is_text(array):
        return _text_times(array, time_format, zone)
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        return _to_utc(array, zone)
    return np.zeros(len(array), np.int64), np.ones(len(array), np.bool_)


def _to_utc(array: pa.Array, zone: str) -> tuple[NDArray[np.int64], Mask]:
    """Arrow times, aware or naive in `zone`, as UTC ns."""
    if pa.types.is_date(array.type):
        array = pc.cast(array, pa.timestamp("ms"))
    array = pc.if_else(_within(array), array, None)
    aware = array.type.tz is not None
    offset = 0
    if not aware and zone == "Asia/Kolkata":
        offset = IST_OFFSET_NS
    elif not aware:
        array = _localised(array, zone)
    whole = pc.cast(pc.cast(array, pa.timestamp("ns", tz=array.type.tz)), pa.int64())
    bad = _mask(pc.is_null(whole), unknown=True)
    return np.array(pc.fill_null(whole, offset)) - offset, bad


def _within(array: pa.Array) -> pa.Array:
    """Which times lie in the years that nanoseconds of 64 bits hold: a 9999 that stands for unknown does not."""
    first, last = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in _YEARS)
    if array.type.tz is None:
        first, last = first.replace(tzinfo=None), last.replace(tzinfo=None)
    low, high = (pa.scalar(one, array.type) for one in (first, last))
    return pc.and_(pc.greater_equal(array, low), pc.less(array, high))


def _localised(array: pa.Array, zone: str) -> pa.Array:
    wall = pc.cast(array, pa.timestamp("ns"))
    try:
        return pc.assume_timezone(wall, zone, ambiguous="earliest", nonexistent="earliest")
    except pa.ArrowInvalid:
        raise InputError(f"zone '{zone}': unknown; write e.g. Asia/Kolkata or UTC") from None


def _text_times(array: pa.Array, time_format: str, zone: str) -> tuple[NDArray[np.int64], Mask]:
    """ISO text fast where it is uniform; otherwise each distinct text once."""
    array = pc.utf8_trim_whitespace(array)
    if time_format != "iso":
        try:
            parsed = pc.strptime(array, format=time_format, unit="us", error_is_null=True)
        except pa.ArrowInvalid as error:
            raise InputError(f"time_format '{time_format}': {str(error).splitlines()[0]}") from None
        return _to_utc(parsed, zone)
    if _mask(pc.match_substring_regex(array, _NAIVE), unknown=True).all():
        try:
            return _to_utc(pc.cast(array, pa.timestamp("ns")), zone)
        except pa.ArrowInvalid:
            pass  # such as a 13th month somewhere
    coded = pc.dictionary_encode(array)
    stamps = [_one_time(text) for text in coded.dictionary.to_pylist()]
    naive = np.array([stamp is not None and stamp.tzinfo is None for stamp in stamps], np.bool_)
    utc = [stamp.replace(tzinfo=dt.UTC) if stamp and stamp.tzinfo is None else stamp for stamp in stamps]
    shown = pa.array(
        [stamp.astimezone(dt.UTC).replace(tzinfo=None) if stamp else None for stamp in utc], pa.timestamp("us")
    )
    local, bad = _to_utc(shown, zone)
    plain, _ = _to_utc(shown, "UTC")
    ts = np.append(np.where(naive, local, plain), 0)
    codes = np.array(pc.fill_null(coded.indices, len(stamps)), np.int64)
    return ts[codes], np.append(bad, True)[codes]


def _one_time(text: str | None) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def dates(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], Mask]:
    """Give a column as days since 1970-01-01, and which cells are no date. Text is ISO or like 30-Dec-2025.

    Of a moment with a zone the date in India counts: its midnight is the day before in UTC.
    """
    array = _flat(column)
    if _is_text(array):
        coded = pc.dictionary_encode(pc.utf8_trim_whitespace(array))
        days = [_one_date(text) for text in coded.dictionary.to_pylist()] + [_NO_TIME]
        values = np.array(days, np.int64)[np.array(pc.fill_null(coded.indices, len(days) - 1), np.int64)]
        return values, values == _NO_TIME
    if not (pa.types.is_date(array.type) or pa.types.is_timestamp(array.type)):
        return np.zeros(len(array), np.int64), np.ones(len(array), np.bool_)
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        array = pc.local_timestamp(pc.cast(array, pa.timestamp(array.type.unit, "Asia/Kolkata")))
    whole = pc.cast(pc.cast(pc.cast(array, pa.date32(), safe=False), pa.int32()), pa.int64())
    return np.array(pc.fill_null(whole, 0)), _mask(pc.is_null(whole), unknown=True)


def _one_date(text: str | None) -> int:
    for pattern in ("%Y-%m-%d", "%d-%b-%Y", "%d%b%Y", "%d-%m-%Y", "%Y%m%d", "%Y-%m-%d %H:%M:%S"):
        try:
            parsed = dt.datetime.strptime(text or "", pattern)  # noqa: DTZ007 - a date has no zone
        except ValueError:
            continue
        return day_number(parsed.date())
    return _NO_TIME


def rights(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], Mask]:
    """Give a column as 0 for calls and 1 for puts, and which cells are neither."""
    names, codes = texts(column)
    values = np.array([_RIGHTS.get(name, -1) for name in names], np.int64)[codes]
    return values, values < 0


def texts(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """Give a column as its distinct texts in upper case, and an index into them for every row; unknown is ''."""
    array = pc.cast(_flat(column), pa.string())
    coded = pc.dictionary_encode(pc.utf8_upper(pc.utf8_trim_whitespace(pc.fill_null(array, ""))))
    return coded.dictionary.to_pylist(), np.array(coded.indices, np.int64)
