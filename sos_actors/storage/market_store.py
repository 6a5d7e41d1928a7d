"""The market database: what the rest of the system sees of it. Days in, days out.

One row of a table holds one instrument's (or chain's) whole day as a compressed block. A day that is stored again
unchanged is left alone; one that differs is merged minute by minute, the newer winning; `force` replaces it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from sos_actors.errors import InputError, StorageError
from sos_actors.market.day import (
    BAR_FIELDS,
    DAILY_S,
    BarColumns,
    ChainColumns,
    DataQuality,
    DayStats,
    MarketDay,
    TickColumns,
)
from sos_actors.market.ids import index_id, parse_id
from sos_actors.storage.blocks import (
    DamagedBlockError,
    decode_bars,
    decode_chain,
    decode_ticks,
    encode_bars,
    encode_chain,
    encode_ticks,
)
from sos_actors.storage.database import open_database, storage_errors, write_transaction
from sos_actors.storage.merging import merge_bars, merge_chains, merge_ticks, same_columns
from sos_actors.storage.rows import StoredBlock, block_hash, put_block, put_quality, put_stats, read_quality

#: What saving a day did.
Saved = Literal["new", "merged", "replaced", "unchanged"]
Columns = TypeVar("Columns", BarColumns, ChainColumns, TickColumns)


class MarketStore:
    """The market database at `path`. One process writes; any number read.

    Opening raises StorageError when the file cannot be used (see `open_database`); so does every method when the
    disk fails or is full, and then nothing of the open transaction is kept.
    """

    def __init__(self, path: str | Path, readonly: bool = False) -> None:
        self.path = Path(path)
        self.db = open_database(path, readonly=readonly)
        self._stats: dict[tuple[str, dt.date], DayStats | None] = {}

    def __enter__(self) -> MarketStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the store is unusable afterwards."""
        self.db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything saved inside is kept, or, when anything raises, nothing of it."""
        try:
            with storage_errors(self.path), write_transaction(self.db):
                yield
        finally:
            self._stats.clear()

    # ------------------------------------------------------------------ saving

    def save_bars(
        self,
        bars: BarColumns,
        day: dt.date,
        source: str,
        simulated: bool = False,
        *,
        force: bool = False,
        fill_only: bool = False,
    ) -> Saved:
        """Store one instrument's bars of `day`. `fill_only`: minutes already there win (for derived bars)."""
        underlying = parse_id(bars.instrument).underlying
        with self.transaction():
            key = {
                "underlying": underlying,
                "instrument": bars.instrument,
                "day": day.isoformat(),
                "interval_s": bars.interval_s,
            }
            old, whole = self._merged("bar_block", key, bars, simulated=simulated, force=force, fill_only=fill_only)
            did = self._put("bar_block", key, old, whole, source, simulated=simulated, force=force)
            if did != "unchanged" and bars.instrument == index_id(underlying):
                put_stats(self.db, underlying, day, whole)
            return did

    def save_chain(
        self,
        chain: ChainColumns,
        day: dt.date,
        source: str,
        simulated: bool = False,
        *,
        force: bool = False,
    ) -> Saved:
        """Store one expiry's chain of `day`."""
        key = {
            "underlying": chain.underlying,
            "day": day.isoformat(),
            "expiry": chain.expiry.isoformat(),
            "interval_s": chain.interval_s,
        }
        with self.transaction():
            old, whole = self._merged("chain_block", key, chain, simulated=simulated, force=force)
            return self._put("chain_block", key, old, whole, source, simulated=simulated, force=force)

    def save_ticks(
        self,
        ticks: TickColumns,
        day: dt.date,
        source: str,
        simulated: bool = False,
        *,
        force: bool = False,
    ) -> Saved:
        """Store the ticks of an underlying and its contracts of `day`, in order of arrival."""
        key = {"underlying": ticks.underlying, "day": day.isoformat()}
        with self.transaction():
            old, whole = self._merged("tick_block", key, ticks, simulated=simulated, force=force)
            return self._put("tick_block", key, old, whole, source, simulated=simulated, force=force)

    def save_day(self, market_day: MarketDay, *, force: bool = False) -> None:
        """Store everything of a day another source brought, all or nothing."""
        day, source, simulated = market_day.day, market_day.source, market_day.simulated
        with self.transaction():
            for bars in (market_day.index, market_day.future):
                if bars is not None and len(bars.start):
                    self.save_bars(bars, day, source, simulated, force=force)
            for chain in market_day.chains:
                if len(chain.start):
                    self.save_chain(chain, day, source, simulated, force=force)
            self.save_quality(market_day.underlying, day, source, market_day.quality)

    def save_quality(self, underlying: str, day: dt.date, source: str, quality: DataQuality) -> None:
        """Keep what was wrong with the data that `source` gave for `day`, in place of what was kept for it before."""
        with self.transaction():
            put_quality(self.db, underlying, day, source, quality)

    # ------------------------------------------------------------------ loading

    def load_day(
        self,
        underlying: str,
        day: dt.date,
        expiries: Sequence[dt.date] | Literal["front", "all"] | None = None,
        interval_s: int | None = None,
    ) -> MarketDay | None:
        """Give the day's index, nearest future and chains; None when nothing but ticks or daily bars is stored.

        `expiries`: the nearest on or after the day ('front', and None), all, or the named ones. Where a thing is
        stored at several intervals the finest is taken, or the one asked for.
        """
        with self._reading(f"{underlying} {day}"):
            index = self._finest_bars(index_id(underlying), day, interval_s)
            future = self._nearest_future(underlying, day, interval_s)
            chains = self._chains(underlying, day, expiries, interval_s)
            blocks = [block for block, _ in (index, future, *chains) if block is not None]
            if not blocks:
                return None
            sources = dict.fromkeys(name for block in blocks for name in block.source.split("+"))
            return MarketDay(
                underlying,
                day,
                index[1],
                future[1],
                tuple(chain for _, chain in chains),
                "+".join(sources),
                simulated=any(block.simulated for block in blocks),
                quality=self.quality(underlying, day),
            )

    def load_ticks(self, underlying: str, day: dt.date) -> TickColumns | None:
        """Give the day's ticks in order of arrival; None when none are stored."""
        found = self._blocks("tick_block", "underlying = ? AND day = ?", (underlying, day.isoformat()))
        with self._reading(f"{underlying} {day}"):
            return decode_ticks(found[0].block) if found else None

    def load_bars(
        self, instrument: str, from_date: dt.date, to_date: dt.date, interval_s: int | None = None
    ) -> BarColumns | None:
        """One instrument's bars over the days given, both included, at one interval: the finest, or that asked for."""
        where = "instrument = ? AND day BETWEEN ? AND ?"
        values: tuple[Any, ...] = (instrument, from_date.isoformat(), to_date.isoformat())
        if interval_s is None:
            with storage_errors(self.path):
                interval_s = self.db.execute(f"SELECT min(interval_s) FROM bar_block WHERE {where}", values).get
        found = self._blocks("bar_block", f"{where} AND interval_s = ? ORDER BY day", (*values, interval_s))
        if not found:
            return None
        with self._reading(f"{instrument} {from_date} to {to_date}"):
            days = [decode_bars(block.block) for block in found]
        columns = (np.concatenate([getattr(bars, name) for bars in days]) for name in ("start", *BAR_FIELDS))
        return BarColumns(instrument, days[0].interval_s, *columns)

    def days(self, underlying: str) -> list[dt.date]:
        """Give the days of which `load_day` or `load_ticks` has something, oldest first."""
        with storage_errors(self.path):
            rows = self.db.execute(
                "SELECT day FROM bar_block WHERE underlying = ?1 AND interval_s < ?2 UNION "
                "SELECT day FROM chain_block WHERE underlying = ?1 UNION "
                "SELECT day FROM tick_block WHERE underlying = ?1 ORDER BY day",
                (underlying, DAILY_S),
            )
            return [dt.date.fromisoformat(day) for (day,) in rows]

    def has_day(self, underlying: str, day: dt.date) -> bool:
        """Whether `load_day` or `load_ticks` has something of a day."""
        with storage_errors(self.path):
            return bool(
                self.db.execute(
                    "SELECT EXISTS (SELECT 1 FROM bar_block WHERE underlying = ?1 AND day = ?2 AND interval_s < ?3)"
                    " OR EXISTS (SELECT 1 FROM chain_block WHERE underlying = ?1 AND day = ?2)"
                    " OR EXISTS (SELECT 1 FROM tick_block WHERE underlying = ?1 AND day = ?2)",
                    (underlying, day.isoformat(), DAILY_S),
                ).get
            )

    def expiries(self, underlying: str, day: dt.date) -> list[dt.date]:
        """Give the expiries of which a chain is stored on `day`, nearest first."""
        with storage_errors(self.path):
            rows = self.db.execute(
                "SELECT DISTINCT expiry FROM chain_block WHERE underlying = ? AND day = ? ORDER BY expiry",
                (underlying, day.isoformat()),
            )
            return [dt.date.fromisoformat(expiry) for (expiry,) in rows]

    def day_stats(self, underlying: str, before: dt.date) -> DayStats | None:
        """Open, high, low and close of the index on the last stored day before `before`.

        A daily bar, being the exchange's own, is preferred to what the finest bars add up to.
        """
        key = (underlying, before)
        if key not in self._stats:
            with storage_errors(self.path):
                row = self.db.execute(
                    "SELECT day, open, high, low, close FROM day_stats WHERE underlying = ? AND day < ? "
                    "ORDER BY day DESC, interval_s = ? DESC, interval_s LIMIT 1",
                    (underlying, before.isoformat(), DAILY_S),
                ).fetchone()
            self._stats[key] = DayStats(underlying, dt.date.fromisoformat(row[0]), *row[1:]) if row else None
        return self._stats[key]

    def quality(self, underlying: str, day: dt.date) -> DataQuality:
        """Say what was wrong with the day's data, all its sources together."""
        with storage_errors(self.path):
            return read_quality(self.db, underlying, day)

    # ------------------------------------------------------------------ inside

    @contextlib.contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Name the file and the day in whatever goes wrong."""
        try:
            with storage_errors(self.path):
                yield
        except DamagedBlockError as error:
            raise StorageError(f"{self.path}: {what}: {error}") from None

    def _blocks(self, table: str, where: str, values: tuple[Any, ...]) -> list[StoredBlock]:
        with storage_errors(self.path):
            names = "id, source, simulated, hash, block"
            return [StoredBlock(*row) for row in self.db.execute(f"SELECT {names} FROM {table} WHERE {where}", values)]

    def _merged(
        self, table: str, key: dict[str, Any], new: Columns, *, simulated: bool, force: bool, fill_only: bool = False
    ) -> tuple[StoredBlock | None, Columns]:
        """Give the block stored under `key`, if any, and what the day is to hold from now on."""
        found = self._blocks(table, " AND ".join(f"{name} = ?" for name in key), tuple(key.values()))
        if not found or force:
            return (found[0] if found else None), new
        old = found[0]
        if simulated and not old.simulated:
            raise InputError(
                f"{key['underlying']} {key['day']}: real data is stored; simulated data "
                "does not replace it unless --force says so"
            )
        if old.simulated and not simulated:
            return old, new
        if isinstance(new, BarColumns):
            return old, merge_bars(decode_bars(old.block), new, fill_only=fill_only)
        if isinstance(new, ChainColumns):
            return old, merge_chains(decode_chain(old.block), new)
        return old, merge_ticks(decode_ticks(old.block), new)

    def _put(
        self,
        table: str,
        key: dict[str, Any],
        old: StoredBlock | None,
        whole: Columns,
        source: str,
        *,
        simulated: bool,
        force: bool,
    ) -> Saved:
        """Write the day unless it is already there as it is."""
        if isinstance(whole, BarColumns):
            block, start = encode_bars(whole), whole.start
        elif isinstance(whole, ChainColumns):
            block, start = encode_chain(whole), whole.start
        else:
            block, start = encode_ticks(whole), whole.ts
        if old is not None and not force and bool(old.simulated) == simulated and _holds(old, whole, block):
            return "unchanged"
        did: Saved = "new" if old is None else "replaced"
        if old is not None and bool(old.simulated) == simulated and not force:
            did = "merged"
            source = "+".join(dict.fromkeys((old.source + "+" + source).split("+")))
        if isinstance(whole, ChainColumns):
            key = {**key, "strikes": len(whole.strikes)}
        put_block(self.db, table, key, start, block, source=source, simulated=simulated)
        return did

    def _finest_bars(
        self, instrument: str, day: dt.date, interval_s: int | None
    ) -> tuple[StoredBlock | None, BarColumns | None]:
        found = self._blocks(
            "bar_block",
            "instrument = ?1 AND day = ?2 AND interval_s = coalesce(?3, interval_s) "
            "AND (?3 IS NOT NULL OR interval_s < ?4) ORDER BY interval_s LIMIT 1",
            (instrument, day.isoformat(), interval_s, DAILY_S),
        )
        return (found[0], decode_bars(found[0].block)) if found else (None, None)

    def _nearest_future(
        self, underlying: str, day: dt.date, interval_s: int | None
    ) -> tuple[StoredBlock | None, BarColumns | None]:
        """Give the future that expires soonest; canonical ids of one underlying's futures sort by expiry."""
        nearest = self.db.execute(
            "SELECT min(instrument) FROM bar_block WHERE underlying = ? AND day = ? AND instrument GLOB '*|FUT|*'",
            (underlying, day.isoformat()),
        ).get
        return self._finest_bars(nearest, day, interval_s) if nearest else (None, None)

    def _chains(
        self, underlying: str, day: dt.date, expiries: Sequence[dt.date] | str | None, interval_s: int | None
    ) -> list[tuple[StoredBlock, ChainColumns]]:
        wanted = self.expiries(underlying, day)
        if expiries is None or expiries == "front":
            wanted = [expiry for expiry in wanted if expiry >= day][:1]
        elif expiries != "all":
            wanted = [expiry for expiry in wanted if expiry in expiries]
        chains = []
        for expiry in wanted:
            found = self._blocks(
                "chain_block",
                "underlying = ? AND day = ? AND expiry = ? AND interval_s = coalesce(?, interval_s) "
                "ORDER BY interval_s LIMIT 1",
                (underlying, day.isoformat(), expiry.isoformat(), interval_s),
            )
            chains += [(block, decode_chain(block.block)) for block in found]
        return chains


def _holds(old: StoredBlock, whole: BarColumns | ChainColumns | TickColumns, block: bytes) -> bool:
    """Whether what is stored equals `whole`, whose encoding is `block`; another compressor's bytes may differ."""
    if old.hash == block_hash(block):
        return True
    if isinstance(whole, BarColumns):
        return same_columns(decode_bars(old.block), whole)
    if isinstance(whole, ChainColumns):
        return same_columns(decode_chain(old.block), whole)
    return same_columns(decode_ticks(old.block), whole)
