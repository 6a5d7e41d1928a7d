"""What several commands take: dates, symbols, the home folder, configuration and playbook."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Annotated

import typer

from sos_actors.config import Config, load_config
from sos_actors.errors import InputError
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.playbook.loader import Playbook, load_playbook
from sos_actors.storage.market_store import MarketStore

#: The folder that holds run_actors.py, config.yaml and strategies/.
ROOT = Path(__file__).resolve().parents[2]

SymbolOption = Annotated[str, typer.Option("--symbol", help="Underlyings, comma-separated: NIFTY,BANKNIFTY,SENSEX")]
FromOption = Annotated[str, typer.Option("--from-date", help="First day, YYYY-MM-DD")]
ToOption = Annotated[str, typer.Option("--to-date", help="Last day, included; the first day if not given")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="Folder of all state; else $SOS_HOME, else ./var")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration; else the project's config.yaml")]
PlaybookOption = Annotated[
    list[Path] | None, typer.Option("--playbook", help="Strategy file or folder; else the project's strategies/")
]


def parse_date(text: str, option: str) -> dt.date:
    """Read YYYY-MM-DD; raises InputError naming the option."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} '{text}': no such date; write YYYY-MM-DD, e.g. 2025-08-29") from None


def parse_dates(from_date: str, to_date: str) -> tuple[dt.date, dt.date]:
    """Read both dates; raises InputError when they are reversed."""
    first = parse_date(from_date, "--from-date")
    last = parse_date(to_date, "--to-date") if to_date else first
    if first > last:
        raise InputError(f"--from-date {first} is after --to-date {last}: give them the other way round")
    return first, last


def parse_symbols(text: str) -> tuple[str, ...]:
    """Read comma-separated underlyings, any case; raises InputError for an unknown one."""
    names = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in EXCHANGE_OF:
            raise InputError(f"--symbol {name}: unknown; use one of {', '.join(EXCHANGE_OF)}")
    if not names:
        raise InputError("--symbol: name at least one underlying, e.g. NIFTY")
    return names


def parse_symbol(text: str) -> str:
    """Read the underlying of a command that takes one; raises InputError for several."""
    names = parse_symbols(text)
    if len(names) > 1:
        raise InputError(f"--symbol {text}: give one here, and run the command for each")
    return names[0]


def home_folder(home: Path | None) -> Path:
    """Give the folder of all state, made if need be."""
    folder = home or Path(os.environ.get("SOS_HOME") or "var")
    try:
        str(folder).encode()
    except UnicodeEncodeError:  # bytes that are no text here: SQLite takes names in UTF-8 alone
        shown = os.fsencode(folder).decode(errors="replace")
        raise InputError(f"{shown}: not readable as UTF-8: set a UTF-8 locale, or use another --home") from None
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def open_store(home: Path | None, *, readonly: bool = False) -> MarketStore:
    """Open the market database of the home folder."""
    path = stored_market(home) if readonly else home_folder(home) / "market.db"
    return MarketStore(path, readonly=readonly)


def stored_market(home: Path | None) -> Path:
    """Give the path of the home folder's market database; raises InputError where there is none yet."""
    path = home_folder(home) / "market.db"
    if not path.exists():
        raise InputError(f"{path}: there is no market database yet; fill it with `python run_actors.py ingest`")
    return path


def configuration(path: Path | None) -> Config:
    """Read the configuration given, else the project's own."""
    own = ROOT / "config.yaml"
    return load_config(path if path is not None else own if own.exists() else None)


def strategies(paths: list[Path] | None, names: str, timeframe: str = "") -> Playbook:
    """Load the playbook, and of it the named strategies (comma-separated; all when empty).

    `timeframe` replaces the one every strategy declares; a confirming time frame that is not longer falls away.
    """
    playbook = load_playbook(paths or [ROOT / "strategies"])
    if not playbook.strategies and playbook.errors:
        first, *others = playbook.errors
        more = f" (and {len(others)} more faults; `validate` names them all)" if others else ""
        raise InputError(f"{first}{more}")
    _left_out(playbook)
    for warning in playbook.ignored:  # it may be a limit, misspelt
        typer.echo(f"warning: {warning}", err=True)
    playbook = playbook.select(names.split(",")) if names else playbook
    if timeframe:
        playbook = playbook.on_timeframe(timeframe)
        _left_out(playbook)  # those that read confirming bars, where these are not longer than the others any more
    return playbook


def _left_out(playbook: Playbook) -> None:
    for error in playbook.errors:
        typer.echo(f"warning: strategy left out: {error}", err=True)
