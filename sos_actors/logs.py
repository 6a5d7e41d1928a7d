"""Where the log goes and what must never be in it.

One line a happening, times in IST. Lines about an actor carry its path, lines of a session its id, what the cast
tells the number (`#n`) that delivery has in the session's record. A secret that was named with `hide` is replaced in
every line of every sink, tracebacks too; so is what looks like an access token.
"""

from __future__ import annotations

import datetime as dt
import faulthandler
import logging
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec
from loguru import logger

from sos_actors.errors import InputError

if TYPE_CHECKING:
    from loguru import Record

LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")
HIDDEN = "***"
_IST = dt.timezone(dt.timedelta(hours=5, minutes=30), "IST")
#: A JSON Web Token: what the broker's access tokens are.
_JWT = re.compile(r"eyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]{6,}")
_BEARER = re.compile(r"(?i)(bearer\s+)[\w.~+/=-]{8,}")
_secrets: dict[str, None] = {}


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the daemon's log goes: the console (the system's journal under systemd) and two files under the home."""

    console: str = "INFO"
    """Least level on the console."""
    file: str = "DEBUG"
    """Least level in logs/sos.log."""
    json: bool = True
    """Write logs/sos.jsonl besides: one JSON object a line, for programs."""
    rotate_mb: int = 50
    """Size in megabytes at which a file is closed and a new one begun."""
    keep_days: int = 30
    """Days after which a closed file is deleted."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in ("console", "file"):
            if getattr(self, name) not in LEVELS:
                raise ValueError(f"logs.{name} is '{getattr(self, name)}': write one of {', '.join(LEVELS)}")
        if self.rotate_mb < 1 or self.keep_days < 1:
            raise ValueError("logs: write rotate_mb and keep_days of 1 or more")


def hide(secret: str) -> None:
    """Never let this text into the log. Too short a text (under 6 characters) would blank half of it: refused."""
    if len(secret) < 6:
        raise InputError("a secret of under 6 characters cannot be kept out of the log: it is no secret; check it")
    _secrets[secret] = None


def redact(text: str) -> str:
    """Replace every secret in a text."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    if "eyJ" in text:
        text = _JWT.sub(HIDDEN, text)
    return _BEARER.sub(rf"\g<1>{HIDDEN}", text) if "earer" in text else text


def _redacted(record: Record) -> None:
    """Take the secrets out of a record; a traceback becomes text first, for a sink would render it itself."""
    error = record["exception"]
    if error is not None:
        lines = traceback.format_exception(error.type, error.value, error.traceback)
        record["message"] += "\n" + "".join(lines).rstrip()
        record["exception"] = None
    record["message"] = redact(record["message"])
    record["time"] = record["time"].astimezone(_IST)


def _line(record: Record, *, colour: bool) -> str:
    """Give loguru the format of one line."""
    extra: dict[str, Any] = record["extra"]
    where = " <cyan>{extra[actor]}</cyan>" if "actor" in extra else ""
    cause = " #{extra[message]}" if extra.get("message", -1) >= 0 else ""  # below 0: it is not in a record
    text = "<level>{level: <7}</level> {time:YYYY-MM-DD HH:mm:ss.SSS}" + where + cause + " {message}\n"
    return text if colour else re.sub(r"</?(cyan|level)>", "", text)


def _plain(record: Record) -> str:
    return _line(record, colour=False)


def _coloured(record: Record) -> str:
    return _line(record, colour=True)


class _FromStandard(logging.Handler):
    """Passes what libraries log with the standard module on to ours."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname if record.levelname in LEVELS else "INFO"
        logger.opt(exception=record.exc_info).log(level, "{}: {}", record.name, record.getMessage())


def configure(
    settings: LogSettings, home: Path | None = None, *, session: str = "", console: TextIO | None = None
) -> None:
    """Set up the process's log: the console (stderr), and under `home` logs/sos.log and logs/sos.jsonl.

    Files are readable by their owner only. Libraries that log with the standard module are heard from WARNING on.
    """
    stream = console or sys.stderr
    logger.remove()
    logger.configure(patcher=_redacted, extra={"session": session} if session else {})
    logger.add(stream, level=settings.console, format=_coloured if stream.isatty() else _plain, diagnose=False)
    if home is not None:
        folder = home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        size, age = f"{settings.rotate_mb} MB", f"{settings.keep_days} days"
        options: dict[str, Any] = {"rotation": size, "retention": age, "diagnose": False, "opener": _owner_only}
        logger.add(folder / "sos.log", level=settings.file, format=_plain, **options)
        if settings.json:
            logger.add(folder / "sos.jsonl", level=settings.file, format="{message}", serialize=True, **options)
    logging.basicConfig(handlers=[_FromStandard()], level=logging.WARNING, force=True)


def trace_crashes() -> None:
    """Have a signal that kills the process from within (a fault of a library in C) say on stderr where threads were.

    The log itself cannot: nothing of Python runs any more.
    """
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)


def _owner_only(file: str, flags: int) -> int:
    import os  # noqa: PLC0415

    return os.open(file, flags, 0o600)
