"""config.yaml as frozen structs: every part's settings live beside the code they set and are composed here."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from sos_actors.alerts.settings import AlertSettings
from sos_actors.decoding import converted
from sos_actors.errors import InputError
from sos_actors.logs import LogSettings
from sos_actors.market.bars import BarSettings
from sos_actors.market.charges import ChargeSettings
from sos_actors.market.following import FollowSettings
from sos_actors.market.freshness import FreshnessSettings
from sos_actors.metrics.settings import MetricsSettings
from sos_actors.quant.chain_settings import ChainSettings
from sos_actors.quant.structure import StructureSettings
from sos_actors.runtime.journal.recording import RecordingSettings
from sos_actors.runtime.settings import RuntimeSettings
from sos_actors.runtime.walltime import ClockSettings
from sos_actors.sandbox.server.settings import ServerSettings
from sos_actors.sandbox.settings import MarketSettings
from sos_actors.sources.data_settings import DataSettings
from sos_actors.trading.debounce import DebounceSettings
from sos_actors.trading.desk_settings import DeskSettings
from sos_actors.trading.gateway.settings import GatewaySettings
from sos_actors.trading.paper_settings import PaperSettings
from sos_actors.trading.risk_settings import RiskSettings
from sos_actors.trading.selection import SelectionSettings
from sos_actors.trading.sizing import SizingSettings
from sos_actors.upstox.feed_settings import FeedSettings
from sos_actors.upstox.login import LoginSettings
from sos_actors.upstox.settings import UpstoxSettings
from sos_actors.web.settings import WebSettings


class AccountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The account a backtest or paper session starts with."""

    capital: float = 1_000_000.0
    """Rupees at the start."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not self.capital > 0:
            raise ValueError(f"account.capital is {self.capital}: write more than 0")


class BacktestSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How history is played."""

    warmup_days: int = 3
    """Trading days played before the first, with entries off, so that indicators are warm."""
    bar_grace_s: float = 1.0
    """Seconds of exchange time after a minute before its bars are closed, for late ticks (tick resolution)."""
    seed: int = 7
    """Seed of the simulated market."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.warmup_days < 0 or self.seed < 0 or not 0 <= self.bar_grace_s < 60:
            raise ValueError("backtest: write warmup_days and seed of 0 or more, bar_grace_s from 0 to 59")


class LiveSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the daemon trades, with whose money, and what it does when it is told to stop."""

    symbols: tuple[str, ...] = ("NIFTY",)
    """Underlyings, of NIFTY, BANKNIFTY, SENSEX."""
    real_money: bool = False
    """Allow real orders; `live --real-money --account ID` is needed besides."""
    on_stop: Literal["keep", "flatten"] = "keep"
    """What becomes of open positions when the daemon stops: keep (stops rest at the exchange) or flatten."""
    flatten_s: float = 30.0
    """Seconds a stop waits for an entry, a stop or (on_stop: flatten) a closing under way; then it ends anyway."""
    login_wait_s: float = 0.0
    """Seconds a start waits for a log-in before it gives up; 0: as long as it takes."""

    warmup_patience_s: float = 20.0
    """Seconds one request for missing history may wait for the broker's rate limit at a start; then the start goes on
    with what is stored."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not self.symbols:
            raise ValueError("live.symbols: name at least one underlying, e.g. [NIFTY]")
        if min(self.flatten_s, self.login_wait_s, self.warmup_patience_s) < 0:
            raise ValueError("live: write flatten_s, login_wait_s and warmup_patience_s of 0 or more")


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole configuration."""

    account: AccountSettings = AccountSettings()
    backtest: BacktestSettings = BacktestSettings()
    bars: BarSettings = BarSettings()
    chain: ChainSettings = ChainSettings()
    structure: StructureSettings = StructureSettings()
    selection: SelectionSettings = SelectionSettings()
    sizing: SizingSettings = SizingSettings()
    debounce: DebounceSettings = DebounceSettings()
    risk: RiskSettings = RiskSettings()
    orders: DeskSettings = DeskSettings()
    gateway: GatewaySettings = GatewaySettings()
    paper: PaperSettings = PaperSettings()
    charges: ChargeSettings = ChargeSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    journal: RecordingSettings = RecordingSettings()
    clock: ClockSettings = ClockSettings()
    live: LiveSettings = LiveSettings()
    data: DataSettings = DataSettings()
    upstox: UpstoxSettings = UpstoxSettings()
    feed: FeedSettings = FeedSettings()
    freshness: FreshnessSettings = FreshnessSettings()
    follow: dict[str, FollowSettings] = msgspec.field(
        default_factory=lambda: {name: FollowSettings() for name in ("NIFTY", "BANKNIFTY", "SENSEX")}
    )
    """Underlying -> what of its chain is followed live."""
    login: LoginSettings = LoginSettings()
    logs: LogSettings = LogSettings()
    alerts: AlertSettings = AlertSettings()
    metrics: MetricsSettings = MetricsSettings()
    simulated_market: MarketSettings = msgspec.field(default_factory=MarketSettings)
    sandbox: ServerSettings = ServerSettings()
    web: WebSettings = WebSettings()

    def fingerprint(self) -> str:
        """Hash of every value, 16 hexadecimal digits: equal configurations give the equal one, however written."""
        return hashlib.blake2b(msgspec.json.encode(self, order="sorted"), digest_size=8).hexdigest()


def load_config(path: Path | None) -> Config:
    """Read a configuration file; without one, the defaults. Raises InputError: the file, the key, what is wrong."""
    if path is None:
        return Config()
    try:
        written = _read_yaml(path.read_bytes())
        config = Config() if written is None else converted(written, Config, builtin_types=(dt.date, dt.datetime))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; give the file with --config") from None
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {_place(str(error))}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InputError(f"{path}: not valid YAML: an alias refers to what it stands in") from None
    except InputError as error:  # raised by a part's own check of its settings
        raise InputError(f"{path}: {error}") from None
    for key, value in _leaves(msgspec.to_builtins(config)):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{path}: {key} is {value}: write a finite number")
    return config


def _read_yaml(raw: bytes) -> Any:
    """Read one YAML document; None when it is empty. A key written twice is an error: YAML would take the last."""
    loader = yaml.CSafeLoader(raw.decode())
    node = loader.get_single_node()
    if node is None:
        return None
    _refuse_twins(node)
    return loader.construct_document(node)


def _refuse_twins(node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if str(key.value) in seen:
                first = seen[str(key.value)]
                raise InputError(f"'{key.value}' stands in line {first} and again in line {line}: keep one")
            seen[str(key.value)] = line
            _refuse_twins(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twins(value)


def _leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Give every value that holds no others, with its dotted key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{at}.{name}" if at else str(name))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner, at)
    else:
        yield at, value


def _place(text: str) -> str:
    """Turn msgspec's '... - at `$.risk.daily_loss`' into 'risk.daily_loss: ...'."""
    problem, _, where = text.partition(" - at `$")
    key = where.strip("`. ")
    if problem.startswith("Object contains unknown field `"):
        name = problem.split("`")[1]
        near = difflib.get_close_matches(name, _keys_at(key), n=1)
        hint = f"did you mean {near[0]}?" if near else "config.yaml of the project lists the keys"
        return f"{key + '.' if key else ''}{name}: unknown key; {hint}"
    if problem.startswith("Expected `str") and "got `int`" in problem:
        problem += '; put it in quotes, e.g. "15:15"'  # YAML reads 15:15 as the number 915
    return f"{key}: {problem}" if key and not problem.startswith(key) else problem


def _keys_at(key: str) -> tuple[str, ...]:
    """Keys that the struct at a dotted key knows."""
    kind: Any = Config
    for part in key.split(".") if key else ():
        kind = next((field.type for field in msgspec.structs.fields(kind) if field.name == part), None)
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            return ()
    return tuple(field.name for field in msgspec.structs.fields(kind))
