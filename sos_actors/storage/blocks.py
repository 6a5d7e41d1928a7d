"""A day's columns as one compressed block of bytes, and back without losing a bit.

Prices are whole paise and volumes whole units, so a column is kept as scaled integers whenever that is exact for
every value of the day, and as float64 otherwise. Integers are kept as differences over time, in the narrowest type
that holds them, which zstandard likes and which a row-wise running sum undoes at memory speed. Unknown values (NaN)
are a bit mask beside the numbers.

A block is: four bytes of magic, the header's length (u32), the header (msgpack), the payload (zstandard).
"""

from __future__ import annotations

import datetime as dt
import struct
from typing import Any, Literal

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from sos_actors.decoding import from_msgpack
from sos_actors.errors import StorageError
from sos_actors.market.day import BAR_FIELDS, BarColumns, ChainColumns, TickColumns
from sos_actors.messages.market import CHAIN_FIELDS

MAGIC = b"SDB1"
#: Scales tried in this order; a column none of them represents exactly is kept as float64.
SCALES = (1, 100, 10_000)
#: Below this many values a row, numpy's own running sum beats adding row by row.
_WIDE_ROW = 64
#: Whole numbers below this, and the differences of any two of them, are exact in a float64.
_EXACT = 2.0**52
_TICK_FIELDS = ("price", "oi", "bid", "ask")
_LEVEL = 3


class DamagedBlockError(StorageError):
    """A block that cannot be read; whoever knows the day says which."""


class _Column(msgspec.Struct, frozen=True, array_like=True):
    """How one column [T, W] lies in the payload. `scale` 0: float64; `like` >= 0: equal to that earlier column."""

    scale: int
    dtype: str
    like: int
    nan: Literal[0, 1, 2]  # 0 none, 1 every value, 2 a bit mask follows


class _Header(msgspec.Struct, frozen=True, array_like=True):
    """Shape and identity of a block; `names` is what the kind needs to be rebuilt."""

    kind: str
    names: list[str]
    interval_s: int
    rows: int
    width: int
    columns: list[_Column]
    integers: list[list[Any]]  # [dtype of the differences, first value] of each integer column


def _narrowest(values: NDArray[np.int64]) -> NDArray[Any]:
    """Give the same integers in the smallest signed type that holds them all."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for dtype in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(dtype)
        if bounds.min <= low and high <= bounds.max:
            return values.astype(dtype)
    return values


def _scale_of(known: NDArray[np.float64]) -> int:
    """Give the first of `SCALES` at which every value is a whole number and comes back to the bit; 0 if none does."""
    if not np.isfinite(known).all() or bool((np.signbit(known) & (known == 0.0)).any()):
        return 0
    for scale in SCALES:
        with np.errstate(over="ignore"):
            whole = np.rint(known * scale)
        if (np.abs(whole) < _EXACT).all() and np.array_equal(whole / scale, known):
            return scale
    return 0


def _filled(values: NDArray[np.float64], unknown: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Fill unknown cells with the last known value of their contract (or the first), so differences stay small."""
    steps = np.arange(values.shape[0])[:, None]
    last = np.maximum.accumulate(np.where(unknown, 0, steps), axis=0)
    last = np.maximum(last, np.argmax(~unknown, axis=0)[None, :])
    filled = np.take_along_axis(values, last, axis=0)
    return np.where(np.isnan(filled), 0.0, filled)


def _put_column(values: NDArray[np.float64], parts: list[bytes]) -> _Column:
    """Append one column [T, W] to `parts` and say how it was laid down."""
    unknown = np.isnan(values)
    if unknown.all():
        return _Column(1, "", -1, 1)
    nan: Literal[0, 2] = 2 if unknown.any() else 0
    scale = _scale_of(values[~unknown])
    if scale == 0:
        parts.append(np.ascontiguousarray(values).tobytes())
        return _Column(0, "", -1, 0)
    whole = np.rint(_filled(values, unknown) * scale).astype(np.int64)
    steps = _narrowest(np.diff(whole, axis=0))
    parts += [whole[0].tobytes(), steps.tobytes()]
    if nan:
        parts.append(np.packbits(unknown).tobytes())
    return _Column(scale, steps.dtype.str, -1, nan)


def _put_frame(values: NDArray[np.float64], parts: list[bytes]) -> list[_Column]:
    """Append an array [T, F, W], column by column; a column equal to an earlier one is only referred to."""
    columns: list[_Column] = []
    for field in range(values.shape[1]):
        for earlier in range(field):
            if columns[earlier].like < 0 and values[:, field].tobytes() == values[:, earlier].tobytes():
                columns.append(_Column(1, "", earlier, 0))
                break
        else:
            columns.append(_put_column(values[:, field], parts))
    return columns


class _Reader:
    """Walks through a payload, giving out arrays that view it."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self._at = payload, 0

    def take(self, dtype: str, count: int) -> NDArray[Any]:
        """Give the next `count` values of `dtype`."""
        view = np.frombuffer(self._payload, dtype, count, self._at)
        self._at += view.nbytes
        return view


def _get_frame(reader: _Reader, columns: list[_Column], rows: int, width: int) -> NDArray[np.float64]:
    """Read back what `_put_frame` wrote: [T, F, W], filled in place with no copy of the whole."""
    out = np.empty((rows, len(columns), width))
    raw: list[tuple[int, NDArray[np.float64]]] = []
    masks: list[tuple[int, NDArray[np.bool_]]] = []
    for field, column in enumerate(columns):
        if column.nan == 1 or column.like >= 0 or column.scale == 0:
            out[:, field] = 0.0
        if column.scale == 0:
            raw.append((field, reader.take("<f8", rows * width).reshape(rows, width)))
        elif column.nan != 1 and column.like < 0:
            out[0, field] = reader.take("<i8", width)
            out[1:, field] = reader.take(column.dtype, (rows - 1) * width).reshape(rows - 1, width)
            if column.nan == 2:
                bits = reader.take("u1", (rows * width + 7) // 8)
                unknown = np.unpackbits(bits, count=rows * width).view(np.bool_).reshape(rows, width)
                masks.append((field, unknown))
    if len(columns) * width >= _WIDE_ROW:
        for row in range(1, rows):
            np.add(out[row], out[row - 1], out=out[row])
    else:
        np.cumsum(out, axis=0, out=out)
    _finish_frame(out, columns, masks, raw)
    return out


def _finish_frame(
    out: NDArray[np.float64],
    columns: list[_Column],
    masks: list[tuple[int, NDArray[np.bool_]]],
    raw: list[tuple[int, NDArray[np.float64]]],
) -> None:
    """Scale the running sums, then lay unknown, float64 and repeated columns over them."""
    for field, column in enumerate(columns):
        if column.scale > 1:
            out[:, field] /= column.scale
        elif column.nan == 1:
            out[:, field] = np.nan
    for field, unknown in masks:
        np.copyto(out[:, field], np.nan, where=unknown)
    for field, exact in raw:
        out[:, field] = exact
    for field, column in enumerate(columns):
        if column.like >= 0:
            out[:, field] = out[:, column.like]


def _put_integers(values: NDArray[np.int64], parts: list[bytes]) -> list[Any]:
    """Append an integer column as differences; returns [dtype, first value]."""
    if not values.size:
        return ["|i1", 0]
    steps = _narrowest(np.diff(values))
    parts.append(steps.tobytes())
    return [steps.dtype.str, int(values[0])]


def _get_integers(reader: _Reader, entry: list[Any], rows: int) -> NDArray[np.int64]:
    """Read back what `_put_integers` wrote."""
    out = np.empty(rows, np.int64)
    if rows:
        out[0] = entry[1]
        out[1:] = reader.take(entry[0], rows - 1)
        np.cumsum(out, out=out)
    return out


def _seal(header: _Header, parts: list[bytes]) -> bytes:
    head = msgspec.msgpack.encode(header)
    payload = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(b"".join(parts))
    return MAGIC + struct.pack("<I", len(head)) + head + payload


def _open(block: bytes, kind: str) -> tuple[_Header, _Reader]:
    try:
        if block[:4] != MAGIC:
            raise ValueError("bad magic")
        (size,) = struct.unpack_from("<I", block, 4)
        header = from_msgpack(block[8 : 8 + size], _Header)
        if header.kind != kind:
            raise ValueError(f"holds {header.kind}")
        return header, _Reader(zstandard.ZstdDecompressor().decompress(block[8 + size :]))
    except (ValueError, struct.error, msgspec.MsgspecError, zstandard.ZstdError) as error:
        raise DamagedBlockError(f"its {kind} is damaged ({error}): ingest the day again with --force") from None


def encode_bars(bars: BarColumns) -> bytes:
    """Bars of one instrument as a block."""
    parts: list[bytes] = []
    frame = np.stack([getattr(bars, name) for name in BAR_FIELDS], axis=1)[:, :, None]
    integers = [_put_integers(bars.start, parts)]
    rows = len(bars.start)
    columns = _put_frame(frame, parts) if rows else []
    return _seal(_Header("bars", [bars.instrument], bars.interval_s, rows, 1, columns, integers), parts)


def decode_bars(block: bytes) -> BarColumns:
    """Give the bars of a block; raises DamagedBlockError when it is."""
    header, reader = _open(block, "bars")
    start = _get_integers(reader, header.integers[0], header.rows)
    if header.rows == 0:
        return BarColumns(header.names[0], header.interval_s, start, *(np.empty(0) for _ in BAR_FIELDS))
    columns = np.ascontiguousarray(_get_frame(reader, header.columns, header.rows, 1)[:, :, 0].T)
    return BarColumns(header.names[0], header.interval_s, start, *columns)


def encode_chain(chain: ChainColumns) -> bytes:
    """Give a day of one expiry's chain as a block."""
    parts: list[bytes] = []
    rows, width = len(chain.start), 2 * len(chain.strikes)
    integers = [_put_integers(chain.start, parts)]
    parts.append(np.ascontiguousarray(chain.strikes, dtype=np.float64).tobytes())
    frame = np.ascontiguousarray(chain.values, dtype=np.float64).reshape(rows, len(CHAIN_FIELDS), width)
    columns = _put_frame(frame, parts) if frame.size else []
    names = [chain.underlying, chain.expiry.isoformat()]
    return _seal(_Header("chain", names, chain.interval_s, rows, width, columns, integers), parts)


def decode_chain(block: bytes) -> ChainColumns:
    """Give the chain of a block; raises DamagedBlockError when it is."""
    header, reader = _open(block, "chain")
    rows, strikes = header.rows, header.width // 2
    start = _get_integers(reader, header.integers[0], rows)
    ladder = reader.take("<f8", strikes).copy()
    shape = (rows, len(CHAIN_FIELDS), 2, strikes)
    if header.columns:
        values = _get_frame(reader, header.columns, rows, header.width).reshape(shape)
    else:
        values = np.empty(shape)
    expiry = dt.date.fromisoformat(header.names[1])
    return ChainColumns(header.names[0], expiry, header.interval_s, start, ladder, values)


def encode_ticks(ticks: TickColumns) -> bytes:
    """Give a day of ticks as a block. Columns are laid down instrument by instrument, so that differences are small."""
    parts: list[bytes] = []
    rows = len(ticks.ts)
    order = np.argsort(ticks.which, kind="stable")
    integers = [_put_integers(ticks.which.astype(np.int64), parts)]
    integers += [_put_integers(ticks.ts_recv, parts)]
    integers += [_put_integers(column[order], parts) for column in (ticks.ts, ticks.quantity, ticks.day_volume)]
    frame = np.stack([getattr(ticks, name)[order] for name in _TICK_FIELDS], axis=1)[:, :, None]
    columns = _put_frame(frame, parts) if rows else []
    names = [ticks.underlying, *ticks.instruments]
    return _seal(_Header("ticks", names, 0, rows, 1, columns, integers), parts)


def decode_ticks(block: bytes) -> TickColumns:
    """Give the ticks of a block, in order of arrival; raises DamagedBlockError when it is."""
    header, reader = _open(block, "ticks")
    rows = header.rows
    which = _get_integers(reader, header.integers[0], rows).astype(np.int32)
    ts_recv = _get_integers(reader, header.integers[1], rows)
    order = np.argsort(which, kind="stable")
    whole = np.empty((3, rows), np.int64)
    for row, entry in enumerate(header.integers[2:]):
        whole[row, order] = _get_integers(reader, entry, rows)
    real = np.empty((len(_TICK_FIELDS), rows))
    if rows:
        real[:, order] = _get_frame(reader, header.columns, rows, 1)[:, :, 0].T
    price, oi, bid, ask = real
    return TickColumns(
        header.names[0], tuple(header.names[1:]), which, whole[0], ts_recv, price, whole[1], whole[2], oi, bid, ask
    )
