"""The health of the market database, and what old data may go."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sos_actors.errors import InputError, StorageError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.storage.database import storage_errors
from sos_actors.storage.market_store import MarketStore

#: Kinds of data that age, and their tables.
KINDS = {"ticks": "tick_block", "bars": "bar_block", "chains": "chain_block"}


class SymbolHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of one underlying. `missing`: trading days between the first and the last of which nothing is."""

    first: dt.date
    last: dt.date
    days: int
    missing: tuple[dt.date, ...]
    incomplete: dict[str, str]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a market database. Sizes in bytes; `last_fetch` UTC ns, 0 for never; `integrity` 'ok' or the faults.

    `old` counts the day blocks of each kind that retention would delete; `half_fetched` the contract-days that an
    interrupted fetch has left to go on from.
    """

    path: str
    size: int
    free: int
    integrity: str
    symbols: dict[str, SymbolHealth]
    last_fetch: int
    half_fetched: int
    old: dict[str, int]


@dataclass(frozen=True, slots=True)
class Retention:
    """Days each kind is kept; 0: for ever."""

    ticks: int = 0
    bars: int = 0
    chains: int = 0

    def cutoffs(self, today: dt.date) -> dict[str, str]:
        """Give the first day (ISO) that stays, by kind; kinds kept for ever are left out."""
        kept = ((kind, getattr(self, kind)) for kind in KINDS)
        return {kind: (today - dt.timedelta(days=days)).isoformat() for kind, days in kept if days}


def health(store: MarketStore, retention: Retention, today: dt.date, calendar: TradingCalendar = INDIA) -> Health:
    """Look the database over. Raises StorageError when it cannot be read."""
    db = store.db
    with storage_errors(store.path):
        names = [name for (name,) in db.execute(
            "SELECT underlying FROM bar_block UNION SELECT underlying FROM chain_block UNION "
            "SELECT underlying FROM tick_block ORDER BY 1"
        )]  # fmt: skip
        verdict = "; ".join(str(row[0]) for row in db.execute("PRAGMA integrity_check(5)"))
        return Health(
            path=str(store.path),
            size=sum(path.stat().st_size for path in _files(store.path)),
            free=db.pragma("freelist_count") * db.pragma("page_size"),
            integrity=verdict,
            symbols={name: one for name in names if (one := _symbol(store, name, calendar)) is not None},
            last_fetch=db.execute("SELECT coalesce(max(at), 0) FROM day_state WHERE source = 'upstox'").get,
            half_fetched=db.execute("SELECT count(*) FROM fetched").get,
            old={
                kind: db.execute(f"SELECT count(*) FROM {KINDS[kind]} WHERE day < ?", (day,)).get
                for kind, day in retention.cutoffs(today).items()
            },
        )


def delete_old(store: MarketStore, retention: Retention, today: dt.date) -> dict[str, int]:
    """Delete what retention lets go, all or nothing; gives the day blocks deleted by kind. Raises StorageError."""
    deleted = {}
    with store.transaction():
        for kind, day in retention.cutoffs(today).items():
            store.db.execute(f"DELETE FROM {KINDS[kind]} WHERE day < ?", (day,))
            deleted[kind] = store.db.changes()
        week_ago = (today - dt.timedelta(days=7)).isoformat()
        store.db.execute("DELETE FROM doubtful_minute WHERE day < ?", (week_ago,))
    return deleted


def vacuum(store: MarketStore) -> None:
    """Give the file's free pages back to the disk. Raises StorageError, e.g. when another process uses it."""
    with storage_errors(store.path):
        store.db.execute("VACUUM")
        store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _symbol(store: MarketStore, name: str, calendar: TradingCalendar) -> SymbolHealth | None:
    days = store.days(name)
    if not days:
        return None
    try:
        trading = calendar.trading_days(EXCHANGE_OF[name], days[0], days[-1])
    except InputError:  # a year the calendar does not know
        trading = ()
    rows = store.db.execute(
        "SELECT day, note FROM day_state WHERE underlying = ? AND NOT complete ORDER BY day", (name,)
    )
    stored = set(days)
    return SymbolHealth(
        first=days[0], last=days[-1], days=len(days), missing=tuple(day for day in trading if day not in stored),
        incomplete=dict(rows),
    )  # fmt: skip


def _files(path: Path) -> list[Path]:
    found = [path, path.with_name(path.name + "-wal")]
    if not path.exists():
        raise StorageError(f"{path}: there is no database yet: run 'ingest' first")
    return [one for one in found if one.exists()]
