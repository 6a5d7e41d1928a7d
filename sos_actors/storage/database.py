"""Opening the market database: one writer, write-ahead log, schema brought up to date, errors in one line each."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw

from sos_actors.errors import StorageError
from sos_actors.storage.migrations import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION

#: How long a statement waits for another process's lock, in milliseconds.
BUSY_TIMEOUT_MS = 5_000
#: A file up to this size (about 0.1 s) is checked whole when opened; a larger one relies on its blocks' checksums.
CHECKED_BYTES = 64 * 2**20


#: A file system with less left, in bytes, is full for SQLite: the index of its log takes this much at once.
_LEAST_FREE = 32 * 2**10
_FULL = "the disk is full; nothing of this was stored: make room and run again"


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LEAST_FREE
    except OSError:
        return False


@contextlib.contextmanager
def storage_errors(path: str | Path) -> Iterator[None]:
    """Turn what SQLite raises while the file `path` is used into one StorageError that says what to do."""
    try:
        yield
    except apsw.FullError:
        raise StorageError(f"{path}: {_FULL}") from None
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StorageError(
            f"{path}: not a readable database ({error}): restore a copy, or move the file away and ingest again"
        ) from None
    except (apsw.BusyError, apsw.LockedError):
        raise StorageError(f"{path}: another process is writing to it: wait for it to finish, or stop it") from None
    except apsw.ReadOnlyError:
        raise StorageError(f"{path}: cannot be written: check the rights of the file and its folder") from None
    except apsw.CantOpenError:
        raise StorageError(f"{path}: cannot be opened: check that the folder exists and may be read") from None
    except (apsw.IOError, OSError) as error:
        if _is_full(Path(path)):  # the log's index, needed for reading too, is made with an error of another name
            raise StorageError(f"{path}: {_FULL}") from None
        raise StorageError(f"{path}: reading or writing failed ({error}): check the disk") from None


def open_database(path: str | Path, *, readonly: bool = False) -> apsw.Connection:
    """Open the market database at `path`, creating it (unless `readonly`) and migrating its schema.

    Raises StorageError when the file is no database, is damaged, belongs to another program, was written by a newer
    version, or is missing and `readonly`.
    """
    path = Path(path)
    if readonly and not path.exists():
        raise StorageError(f"{path}: there is no database yet: run 'ingest' first")
    with storage_errors(path):
        flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        if not readonly:
            path.parent.mkdir(parents=True, exist_ok=True)
        db = apsw.Connection(str(path), flags=flags)
        try:
            db.set_busy_timeout(BUSY_TIMEOUT_MS)
            _check(db, path)
            if not readonly:
                db.pragma("journal_mode", "wal")
                db.pragma("synchronous", "normal")
                _migrate(db)
            elif db.pragma("user_version") < SCHEMA_VERSION:
                raise StorageError(f"{path}: of an older version: open it once for writing, e.g. with 'ingest'")
        except BaseException:
            db.close()
            raise
        return db


def _check(db: apsw.Connection, path: Path) -> None:
    """Raise StorageError unless the file is ours, sound and not of a newer version."""
    application, version = db.pragma("application_id"), db.pragma("user_version")
    tables = db.execute("SELECT count(*) FROM sqlite_schema").get
    if application != APPLICATION_ID and (application or tables):
        raise StorageError(f"{path}: a database of another program; give another path, or import it with 'ingest'")
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"{path}: written by a newer version (schema {version}, this program knows {SCHEMA_VERSION}): "
            "upgrade the program, or use another database"
        )
    if path.stat().st_size > CHECKED_BYTES:
        return
    verdict = db.execute("PRAGMA quick_check(1)").get
    if verdict != "ok":
        raise StorageError(f"{path}: damaged ({verdict}): restore a copy, or move the file away and ingest again")


def _migrate(db: apsw.Connection) -> None:
    """Bring the schema to `SCHEMA_VERSION`: all steps or none."""
    if db.pragma("user_version") == SCHEMA_VERSION:
        return
    with write_transaction(db):
        for step in MIGRATIONS[db.pragma("user_version") :]:  # read again: another process may have migrated meanwhile
            db.execute(step)
        db.pragma("application_id", APPLICATION_ID)
        db.pragma("user_version", SCHEMA_VERSION)


@contextlib.contextmanager
def write_transaction(db: apsw.Connection) -> Iterator[None]:
    """Everything inside is written, or nothing. Within another write transaction: part of that one."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if not db.get_autocommit():  # something was raised, and SQLite has not rolled back by itself as for a full disk
            db.execute("ROLLBACK")
