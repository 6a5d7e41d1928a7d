"""The broker's instrument master, one file a day, kept for ever: what was listed, with which lot, tick and key.

A contract is gone from the file the day after it expired and its key is given to another, so the files of past days
are the only register of what a key meant then. They lie under `<home>/instruments/2026-11-20.json.gz`.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import urllib3

import sos_actors
from sos_actors.errors import DataError, InputError
from sos_actors.market.clocktime import clock_ns, ist_date
from sos_actors.market.instruments import InstrumentTable, read_master
from sos_actors.upstox.settings import UpstoxSettings

log = logging.getLogger(__name__)

#: Path of the file that lists every segment, below `upstox.assets_url`.
MASTER_PATH = "/market-quote/instruments/exchange/complete.json.gz"
#: Largest file taken, bytes packed and unpacked: the real one has some 3 and 60 million.
MOST_PACKED = 64 * 2**20
MOST_UNPACKED = 1024 * 2**20
_GZIP = 31  # zlib's number for: a gzip header is there

Download = Callable[[], bytes]

#: Time of day (IST) from which the file is that of the day. The broker makes it anew at about 06:00, every day.
_NEW_FILE = clock_ns("06:30")


def file_day(now: int) -> dt.date:
    """Give the day whose file the broker has at `now` (UTC ns): early in the morning it is still the day before's.

    Kept under the new day's name it would be its register for ever, and nobody would fetch the right one.
    """
    return ist_date(now - _NEW_FILE)


def downloader(settings: UpstoxSettings) -> Download:
    """Give the function that fetches the file of the day. It raises DataError when there is no sound file to be had."""
    tls = {"cert_reqs": "CERT_REQUIRED", **({"ca_certs": settings.ca_file} if settings.ca_file else {})}

    def download() -> bytes:
        url = settings.assets_url + MASTER_PATH
        timeout = urllib3.Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s)
        try:
            with urllib3.PoolManager(num_pools=1, headers=_HEADERS, **tls) as pool:
                answer = pool.request("GET", url, timeout=timeout, retries=_RETRIES, preload_content=False)
                try:
                    body = answer.read(MOST_PACKED + 1, decode_content=False)
                finally:
                    answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            why = type(reason).__name__
            raise DataError(f"{url}: cannot be fetched ({why}): network, or upstox.assets_url?") from None
        if answer.status != 200:
            raise DataError(f"{url}: the server answered HTTP {answer.status}: try again later")
        check_packed(body, url)
        return body

    return download


#: Without a name of the program the server answers 403.
_HEADERS = {"User-Agent": f"sos-actors/{sos_actors.__version__}", "Accept": "*/*"}
_RETRIES = urllib3.Retry(
    total=2, redirect=3, backoff_factor=0.5, status_forcelist=(502, 503, 504), raise_on_status=False
)


def check_packed(body: bytes, where: str) -> None:
    """Raise DataError unless the bytes are one whole, undamaged gzip file of a sane size."""
    if len(body) > MOST_PACKED:
        raise DataError(f"{where}: more than {MOST_PACKED >> 20} MiB: this is no instrument file")
    if not body:
        raise DataError(f"{where}: the file is empty: try again later")
    unpack, size = zlib.decompressobj(_GZIP), 0
    try:
        rest = body
        while rest and not unpack.eof:
            size += len(unpack.decompress(rest, 2**24))
            rest = unpack.unconsumed_tail
            if size > MOST_UNPACKED:
                raise DataError(f"{where}: unpacks to more than {MOST_UNPACKED >> 20} MiB: this is no instrument file")
    except zlib.error as error:
        raise DataError(f"{where}: no gzip file, or damaged ({error}): try again later") from None
    if not unpack.eof:
        raise DataError(f"{where}: the file is cut short: try again")


@dataclass(frozen=True, slots=True)
class Master:
    """The instruments of one day's file. `age_days`: how many days before the day asked for the file was fetched."""

    table: InstrumentTable
    day: dt.date
    path: Path
    age_days: int


class MasterFiles:
    """The instrument files of a home folder, by day."""

    def __init__(self, home: Path, download: Download | None = None) -> None:
        """`download` brings today's file; without one only what is there is read."""
        self.folder = home / "instruments"
        self._download = download

    def days(self) -> list[dt.date]:
        """Give the days of which a file is kept, oldest first."""
        found = []
        for path in sorted(self.folder.glob("????-??-??.json.gz")):
            try:
                found.append(dt.date.fromisoformat(path.name[:10]))
            except ValueError:
                continue
        return found

    def path(self, day: dt.date) -> Path:
        """Where the file of a day lies, or would."""
        return self.folder / f"{day.isoformat()}.json.gz"

    def today(self, today: dt.date, *, refresh: bool = False) -> Master:
        """Give today's instruments, fetched unless they are there (or `refresh`).

        When that fails the last file there is stands in, with a warning that says how old it is. Raises DataError when
        there is none, InputError when it cannot be read.
        """
        if not refresh and self.path(today).exists():
            try:
                return self._read(today, today)
            except InputError as error:
                log.warning("%s; fetching it again", error)
        if self._download is None:
            return self._last(today, "fetch today's with `python run_actors.py instruments --refresh`")
        try:
            self._keep(today, self._download())
            return self._read(today, today)
        except DataError as error:
            return self._last(today, str(error))

    def on(self, day: dt.date) -> Master:
        """Give the file of `day`, or the last one before it. Raises DataError when none is kept."""
        known = [one for one in self.days() if one <= day]
        if not known:
            raise DataError(f"{self.folder}: no instrument file of {day} or before is kept")
        return self._read(known[-1], day)

    def _last(self, today: dt.date, reason: str) -> Master:
        for day in reversed(self.days()):
            if day > today:
                continue
            try:
                found = self._read(day, today)
            except InputError as error:
                log.warning("%s", error)
                continue
            log.warning(
                "instruments of %s are used, %d day(s) old: what was listed or expired since is wrong. %s",
                day, found.age_days, reason,
            )  # fmt: skip
            return found
        raise DataError(f"no instrument file: {reason}")

    def _read(self, day: dt.date, asked: dt.date) -> Master:
        path = self.path(day)
        return Master(read_master(path), day, path, (asked - day).days)

    def _keep(self, day: dt.date, body: bytes) -> None:
        """Write the day's file whole, and only once it was read: what is there is never worse than what was."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.folder, prefix=f".{day}.", suffix=".json.gz")
        scratch = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(descriptor)
            try:
                read_master(scratch)
            except InputError as error:
                reason = str(error).removeprefix(f"instrument file {scratch}: ")
                raise DataError(f"the instrument file fetched for {day} is no use: {reason}") from None
            scratch.chmod(0o644)
            scratch.replace(self.path(day))
        finally:
            scratch.unlink(missing_ok=True)
