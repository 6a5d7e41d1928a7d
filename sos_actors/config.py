"""config.yaml as frozen structs: every part's settings live beside the code they set and are composed here."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from sos_actors.errors import InputError
from sos_actors.market.bars import BarSettings
from sos_actors.market.charges import ChargeSettings
from sos_actors.quant.analyst import ChainSettings
from sos_actors.quant.structure import StructureSettings
from sos_actors.sandbox.settings import MarketSettings
from sos_actors.trading.debounce import DebounceSettings
from sos_actors.trading.flow import DeskSettings
from sos_actors.trading.limits import RiskSettings
from sos_actors.trading.matching import PaperSettings
from sos_actors.trading.selection import SelectionSettings
from sos_actors.trading.sizing import SizingSettings


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


class RuntimeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Threads of the live stage."""

    groups: dict[str, str] = msgspec.field(
        default_factory=lambda: {"strategy": "strategies", "feed": "feed", "broker": "broker", "recorder": "recorder"}
    )
    """First part of an actor's path -> the group (thread) it runs in; what is not listed runs in `core`."""


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
    paper: PaperSettings = PaperSettings()
    charges: ChargeSettings = ChargeSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    simulated_market: MarketSettings = msgspec.field(default_factory=MarketSettings)

    def fingerprint(self) -> str:
        """Hash of every value, 16 hexadecimal digits: equal configurations give the equal one, however written."""
        return hashlib.blake2b(msgspec.json.encode(self, order="sorted"), digest_size=8).hexdigest()


def load_config(path: Path | None) -> Config:
    """Read a configuration file; without one, the defaults. Raises InputError naming the key that is wrong."""
    if path is None:
        return Config()
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; give the file with --config") from None
    try:
        return msgspec.yaml.decode(raw, type=Config) if raw.strip() else Config()
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {_place(str(error))}") from None
    except msgspec.DecodeError as error:
        first = str(error).replace("\n", " ")
        raise InputError(f"{path}: not valid YAML: {first}") from None


def _place(text: str) -> str:
    """Turn msgspec's '... - at `$.risk.daily_loss`' into 'risk.daily_loss: ...'."""
    problem, _, where = text.partition(" - at `$")
    key = where.strip("`. ")
    problem = problem.replace("Object contains unknown field", "unknown key")
    return f"{key}: {problem}" if key else problem
