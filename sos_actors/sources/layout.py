"""What a file's columns mean: a small YAML mapping, the project's own ones by name, or the user's beside the data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from sos_actors.decoding import converted
from sos_actors.errors import InputError
from sos_actors.market.clocktime import clock_ns

LAYOUT_FOLDER = Path(__file__).parent / "layouts"
Unit = Literal["lots", "units"]

_SIDE = ("open", "high", "low", "close", "volume", "oi", "bid", "ask")
#: Our column names, by kind; a mapping may name no other.
TARGETS: dict[str, frozenset[str]] = {
    "bars": frozenset({"ts", "underlying", "expiry", "open", "high", "low", "close", "volume", "oi"}),
    "chain_long": frozenset({"ts", "underlying", "expiry", "strike", "right", "spot", *_SIDE}),
    "chain_wide": frozenset(
        {
            "ts",
            "underlying",
            "expiry",
            "strike",
            "spot",
            *(f"{side}_{name}" for side in ("call", "put") for name in _SIDE),
        }
    ),
    "ticks": frozenset(
        {
            "ts",
            "ts_recv",
            "underlying",
            "expiry",
            "strike",
            "right",
            "close",
            "quantity",
            "day_volume",
            "oi",
            "bid",
            "ask",
        }
    ),
}


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The meaning of a file's columns. `docs/data.md` explains each key with examples."""

    kind: Literal["bars", "chain_long", "chain_wide", "ticks"]
    """bars: one instrument a row; chain_long: one contract a row; chain_wide: call and put of a strike side by side."""
    columns: dict[str, str]
    """Our name -> the file's column, or several possible ones parted by '|'; upper and lower case are alike."""
    time_format: str = "iso"
    """iso, epoch_s, epoch_ms, epoch_us, epoch_ns, or a strptime pattern such as '%d-%m-%Y %H:%M'."""
    zone: str = "Asia/Kolkata"
    """Zone of timestamps that carry none."""
    label: Literal["start", "end"] = "start"
    """Whether a bar's timestamp is its start or its end."""
    interval_s: int = 0
    """Length of a bar or of the grid that snapshots are snapped to, seconds; 0: found from the data."""
    underlying: str = ""
    """For a file of one underlying without such a column; '--symbol' overrides it."""
    expiry: str = ""
    """For a file without such a column: an ISO date, or 'nearest' for each day's nearest expiry."""
    lot: int = 0
    """Units a lot, for columns in lots; 0: the exchange's lot of that contract on that day."""
    oi_unit: Unit = "units"
    """Whether open interest is in lots (contracts) or units."""
    volume_unit: Unit = "units"
    """Whether volume is in lots (contracts) or units."""
    volume_is: Literal["interval", "day"] = "interval"
    """Whether volume is that of the bar, or the day's so far (then differences are stored)."""
    quotes: bool = False
    """Prices are last-traded quotes: `close` stands for open, high, low and close; zero means no trade."""
    irregular: bool = False
    """Snapshots come at odd times: each is snapped to its interval, the last within it counts."""
    strike_step: float = 0.0
    """The ladder's step in points; strikes off it are rejected. 0: found from the data."""
    session: tuple[str, str] | None = None
    """First and last minute (exclusive) kept, HH:MM in IST; none: the exchange's session of that day."""
    automatic: bool = True
    """Whether this layout may be chosen from a file's columns; otherwise only by name."""
    detect: tuple[str, ...] = ()
    """Our columns that must be there: without one of them the file is refused."""
    present: tuple[str, ...] = ()
    """The file's columns (or alternatives, with '|') that tell this layout from a similar one."""
    absent: tuple[str, ...] = ()
    """The file's columns that must not be there for this layout to be chosen by itself."""

    def found(self, names: Iterable[str]) -> dict[str, str]:
        """Our name -> the file's column, for the columns that are there."""
        have = {name.lower(): name for name in reversed(list(names))}
        pairs = (
            (ours, next((have[one.lower()] for one in theirs.split("|") if one.lower() in have), None))
            for ours, theirs in self.columns.items()
        )
        return {ours: theirs for ours, theirs in pairs if theirs is not None}

    def missing(self, names: Iterable[str]) -> list[str]:
        """Give the file's columns that this layout needs and that are not there."""
        have = self.found(names)
        said = {ours for ours in ("expiry", "underlying") if getattr(self, ours)}
        return [self.columns.get(ours, ours) for ours in self.detect if ours not in have and ours not in said]


def load_layout(path: Path) -> Layout:
    """Read a mapping. `like: NAME` in it starts from one of the project's own. Raises InputError for a bad one."""
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(raw, dict) and "like" in raw:
            base = yaml.safe_load(_named(str(raw.pop("like"))).read_text(encoding="utf-8"))
            columns = {**base["columns"], **raw.pop("columns", {})}
            raw = {**base, **raw, "columns": columns}
        layout = converted(_plain(raw), Layout)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    except (yaml.YAMLError, ValueError) as error:  # a ValueError: a date that does not exist
        raise InputError(f"{path}: no YAML ({' '.join(str(error).split())})") from None
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}") from None
    return _checked(layout, path.name)


def _plain(raw: Any) -> Any:
    """Keys as YAML gave them, a date as the text it was."""
    if not isinstance(raw, dict):
        return raw
    return {key: value.isoformat() if isinstance(value, dt.date) else value for key, value in raw.items()}


def _checked(layout: Layout, name: str) -> Layout:
    """Give the same layout, when its columns are ones we know; otherwise InputError."""
    unknown = sorted(set(layout.columns) - TARGETS[layout.kind])
    if unknown:
        known = ", ".join(sorted(TARGETS[layout.kind]))
        raise InputError(f"{name}: columns: '{unknown[0]}' is none of a {layout.kind} file's: {known}")
    if "ts" not in layout.columns:
        raise InputError(f"{name}: columns: say which column is the timestamp (ts: NAME)")
    if layout.interval_s < 0 or layout.lot < 0 or layout.strike_step < 0:
        raise InputError(f"{name}: interval_s, lot and strike_step cannot be negative")
    try:
        for clock in layout.session or ():
            clock_ns(clock)
    except ValueError as error:
        raise InputError(f"{name}: session: {error}") from None
    if not layout.detect:
        needed = {"ts", "open", "high", "low", "close", "strike", "right"} & TARGETS[layout.kind]
        needed -= {"open", "high", "low"} if layout.quotes or layout.kind == "ticks" else set()
        layout = msgspec.structs.replace(layout, detect=tuple(sorted(needed)))
    return layout


def layout_names() -> list[str]:
    """Give the names of the project's own layouts."""
    return sorted(path.stem for path in LAYOUT_FOLDER.glob("*.yaml"))


def _named(name: str) -> Path:
    path = LAYOUT_FOLDER / f"{name}.yaml"
    if name not in layout_names():
        raise InputError(f"layout '{name}': there is {', '.join(layout_names())}, or a YAML file")
    return path


def layout_of(
    path: Path, names: list[str], layout: str | Layout | None = None, overrides: Mapping[str, Any] | None = None
) -> tuple[str, Layout]:
    """Name and layout for a file with columns `names`: the given one, a YAML beside the file, or by its columns.

    Keys in `overrides`, as given on the command line, replace the layout's. Raises InputError when none fits, naming
    what the nearest one lacks.
    """
    if isinstance(layout, Layout):
        return "given", with_overrides(_checked(layout, "layout"), overrides)
    if layout is not None:
        chosen = Path(layout) if layout.endswith((".yaml", ".yml")) else _named(layout)
        return chosen.stem, _fits(with_overrides(load_layout(chosen), overrides), chosen.stem, path, names)
    for beside in (path.with_name(path.name + ".yaml"), path.with_name(path.name.split(".")[0] + ".yaml")):
        if beside.exists():
            return beside.name, _fits(with_overrides(load_layout(beside), overrides), beside.name, path, names)
    lower = {name.lower() for name in names}
    lacks: list[tuple[int, str, list[str]]] = []
    for name in layout_names():
        candidate = load_layout(_named(name))
        shown = all(lower & set(one.lower().split("|")) for one in candidate.present)
        if not candidate.automatic or not shown or lower & {one.lower() for one in candidate.absent}:
            continue
        missing = candidate.missing(names)
        if not missing:
            return name, _fits(with_overrides(candidate, overrides), name, path, names)
        lacks.append((len(missing), name, missing))
    if not lacks:
        raise InputError(f"{path}: its columns ({', '.join(names)}) fit no layout: give one with --layout")
    _, name, missing = min(lacks)
    raise InputError(
        f"{path}: fits no layout; the nearest, {name}, lacks column {', '.join(missing)} (there is "
        f"{', '.join(names)}): put a mapping {path.name}.yaml beside it, or give --layout"
    )


def _fits(layout: Layout, name: str, path: Path, names: list[str]) -> Layout:
    missing = layout.missing(names)
    if missing:
        raise InputError(f"{path}: layout {name} needs column {', '.join(missing)}; there is {', '.join(names)}")
    return layout


def with_overrides(layout: Layout, overrides: Mapping[str, Any] | None) -> Layout:
    """Give a layout with some keys replaced, as given on the command line. Raises InputError for a wrong one."""
    if not overrides:
        return layout
    try:
        return _checked(converted({**msgspec.to_builtins(layout), **_plain(dict(overrides))}, Layout), "layout")
    except msgspec.ValidationError as error:
        raise InputError(f"layout: {error}") from None
