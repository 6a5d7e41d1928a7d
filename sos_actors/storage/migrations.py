"""The schema of the market database as an ordered list of steps: step n leads from version n to n + 1.

A step that was released is never edited; a change of schema is a new step at the end.
"""

from __future__ import annotations

#: Written into the file's header, so that another program's SQLite file is not taken for ours ('SOSm').
APPLICATION_ID = 0x534F536D

_FIRST = """
CREATE TABLE bar_block (
    id INTEGER PRIMARY KEY,
    underlying TEXT NOT NULL, instrument TEXT NOT NULL, day TEXT NOT NULL, interval_s INTEGER NOT NULL,
    rows INTEGER NOT NULL, first_ts INTEGER NOT NULL, last_ts INTEGER NOT NULL,
    source TEXT NOT NULL, simulated INTEGER NOT NULL, hash BLOB NOT NULL, block BLOB NOT NULL,
    UNIQUE (instrument, day, interval_s)
) STRICT;
CREATE INDEX bar_block_by_day ON bar_block (underlying, day, instrument, interval_s);
CREATE TABLE chain_block (
    id INTEGER PRIMARY KEY,
    underlying TEXT NOT NULL, day TEXT NOT NULL, expiry TEXT NOT NULL, interval_s INTEGER NOT NULL,
    rows INTEGER NOT NULL, strikes INTEGER NOT NULL, first_ts INTEGER NOT NULL, last_ts INTEGER NOT NULL,
    source TEXT NOT NULL, simulated INTEGER NOT NULL, hash BLOB NOT NULL, block BLOB NOT NULL,
    UNIQUE (underlying, day, expiry, interval_s)
) STRICT;
CREATE TABLE tick_block (
    id INTEGER PRIMARY KEY,
    underlying TEXT NOT NULL, day TEXT NOT NULL,
    rows INTEGER NOT NULL, first_ts INTEGER NOT NULL, last_ts INTEGER NOT NULL,
    source TEXT NOT NULL, simulated INTEGER NOT NULL, hash BLOB NOT NULL, block BLOB NOT NULL,
    UNIQUE (underlying, day)
) STRICT;
CREATE TABLE day_stats (
    underlying TEXT NOT NULL, day TEXT NOT NULL, interval_s INTEGER NOT NULL,
    open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL,
    PRIMARY KEY (underlying, day, interval_s)
) STRICT, WITHOUT ROWID;
CREATE TABLE data_quality (
    underlying TEXT NOT NULL, day TEXT NOT NULL, source TEXT NOT NULL, quality TEXT NOT NULL,
    PRIMARY KEY (underlying, day, source)
) STRICT, WITHOUT ROWID;
"""

#: What a day fetched or recorded is worth, what of it was fetched already, and which recorded minutes had a hole.
_DAYS = """
CREATE TABLE day_state (
    underlying TEXT NOT NULL, day TEXT NOT NULL,
    complete INTEGER NOT NULL, every_option INTEGER NOT NULL, source TEXT NOT NULL, note TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (underlying, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE fetched (
    underlying TEXT NOT NULL, day TEXT NOT NULL, instrument TEXT NOT NULL, rows BLOB NOT NULL,
    PRIMARY KEY (underlying, day, instrument)
) STRICT, WITHOUT ROWID;
CREATE TABLE doubtful_minute (
    underlying TEXT NOT NULL, day TEXT NOT NULL, instrument TEXT NOT NULL, start INTEGER NOT NULL,
    PRIMARY KEY (underlying, day, instrument, start)
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _DAYS)

SCHEMA_VERSION = len(MIGRATIONS)
