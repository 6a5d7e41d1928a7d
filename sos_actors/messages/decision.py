"""From a view of the market to an intent to trade."""

from __future__ import annotations

from sos_actors.messages.base import Direction, Message, Regime, Right, Side, Word
from sos_actors.messages.market import NAN


class Signal(Message, frozen=True, gc=False):
    """A strategy wants to enter. StrategyActor -> SelectorActor.

    `entry`, `stop`, `target` are prices of the underlying. `flip` asks that an opposite position of the
    same strategy be closed by the same order (stop-and-reverse). `captured` holds what the phases captured.
    """

    signal_id: str
    strategy: str
    underlying: str
    ts: int
    direction: Direction
    entry: float
    stop: float
    target: float
    regime: Regime
    quantity_mod: float
    selection: str
    flip: bool = False
    captured: tuple[tuple[str, float | str], ...] = ()


class SignalExplained(Message, frozen=True, gc=False):
    """What a signal was made of. StrategyActor -> recorder, observers; only where somebody listens.

    One entry a phase, in order: (id, end of the bar that passed it in UTC ns, its conditions, what it captured). A
    condition is (text, values it saw by name); a value that is not known is NaN or ''.
    """

    signal_id: str
    strategy: str
    underlying: str
    ts: int
    phases: tuple[
        tuple[
            str,
            int,
            tuple[tuple[str, tuple[tuple[str, float | str | bool], ...]], ...],
            tuple[tuple[str, float | str | bool], ...],
        ],
        ...,
    ]


class TradePlan(Message, frozen=True, gc=False):
    """Which contract, how much, at what prices. SelectorActor -> RiskActor.

    `entry`, `stop`, `target` are prices of `instrument` (the premium, for an option); `index_stop` and
    `index_target` those of the underlying. NaN: that level is not used. `quantity` is units.
    """

    plan_id: str
    signal_id: str
    strategy: str
    underlying: str
    ts: int
    direction: Direction
    instrument: str
    side: Side
    quantity: int
    lot_size: int
    entry: float
    stop: float
    target: float
    index_stop: float = NAN
    index_target: float = NAN
    regime: Regime = Regime.UNKNOWN
    right: Right | None = None
    delta: float = NAN
    bid: float = NAN
    ask: float = NAN
    score: float = NAN
    flip: bool = False


class RefusalReason(Word):
    """Why something was not done. docs/strategies.md lists them; a test keeps the two equal."""

    ENTRIES_OFF = "ENTRIES_OFF"
    NOT_TRADING_HOURS = "NOT_TRADING_HOURS"
    TOO_LATE_IN_DAY = "TOO_LATE_IN_DAY"
    REGIME = "REGIME"
    NO_CHAIN = "NO_CHAIN"
    NO_CONTRACT = "NO_CONTRACT"
    NO_PRICE = "NO_PRICE"
    SPREAD_TOO_WIDE = "SPREAD_TOO_WIDE"
    BAD_LEVELS = "BAD_LEVELS"
    SIZE_ZERO = "SIZE_ZERO"
    MARGIN = "MARGIN"
    DAILY_LOSS = "DAILY_LOSS"
    OPEN_POSITIONS = "OPEN_POSITIONS"
    STRATEGY_POSITIONS = "STRATEGY_POSITIONS"
    UNDERLYING_POSITIONS = "UNDERLYING_POSITIONS"
    COOLDOWN = "COOLDOWN"
    DEBOUNCE = "DEBOUNCE"
    TRADES_PER_DAY = "TRADES_PER_DAY"
    STRATEGY_TRADES_PER_DAY = "STRATEGY_TRADES_PER_DAY"
    ORDER_RATE = "ORDER_RATE"
    PRICE_BAND = "PRICE_BAND"
    STALE_DATA = "STALE_DATA"
    REDUCING = "REDUCING"
    HALTED = "HALTED"
    ACCOUNT_DIFFERS = "ACCOUNT_DIFFERS"
    EXCHANGE_REJECTED = "EXCHANGE_REJECTED"


#: What each reason means and, in brackets, the key of config.yaml or of a strategy file that decides.
REFUSALS: dict[RefusalReason, str] = {
    RefusalReason.ENTRIES_OFF: "entries are off: days before the first are played only to warm up",
    RefusalReason.NOT_TRADING_HOURS: "the session is not open, it is too early (`risk.first_entry`), or the bar lies "
    "outside the strategy's `time_windows`",
    RefusalReason.TOO_LATE_IN_DAY: "no entries so late (`risk.last_entry`)",
    RefusalReason.REGIME: "the strategy does not enter in the present regime (`regime_config`)",
    RefusalReason.NO_CHAIN: "no option chain of the underlying is known",
    RefusalReason.NO_CONTRACT: "no contract fits `option_selection`, or its open interest is too low "
    "(`selection.min_oi`)",
    RefusalReason.NO_PRICE: "the contract has no price",
    RefusalReason.SPREAD_TOO_WIDE: "bid and ask are too far apart (`selection.max_spread`)",
    RefusalReason.BAD_LEVELS: "entry, stop or target is not known, or they are in the wrong order; "
    "or the option's stop is not under its bid, where it would be hit at once",
    RefusalReason.SIZE_ZERO: "the money that may be risked does not buy one lot (`sizing`)",
    RefusalReason.MARGIN: "the free cash does not pay for one lot (`sizing.margin_fraction`, `sizing.cash_fraction`), "
    "or not for the trade beside those on their way",
    RefusalReason.DAILY_LOSS: "the day's loss limit is reached (`risk.daily_loss`)",
    RefusalReason.OPEN_POSITIONS: "too many trades are open in the account (`risk.open_positions`)",
    RefusalReason.STRATEGY_POSITIONS: "the strategy has too many trades open (`risk.strategy_positions`)",
    RefusalReason.UNDERLYING_POSITIONS: "too many trades are open on the underlying (`risk.underlying_positions`)",
    RefusalReason.COOLDOWN: "too soon after the last trade of that strategy, underlying and side (`risk.cooldown_s`), "
    "or after the strategy's last signal (`cooldown`)",
    RefusalReason.DEBOUNCE: "the same signal was given moments ago (`debounce.seconds`)",
    RefusalReason.TRADES_PER_DAY: "the account has had its trades of the day (`risk.trades_per_day`)",
    RefusalReason.STRATEGY_TRADES_PER_DAY: "the strategy has had its trades of the day "
    "(`risk.strategy_trades_per_day`, `max_trades_per_day`)",
    RefusalReason.ORDER_RATE: "too many orders a second (`risk.orders_per_s`, `risk.order_burst`, `risk.exit_reserve`)",
    RefusalReason.PRICE_BAND: "the entry price is too far from the last good quote (`risk.price_band`)",
    RefusalReason.STALE_DATA: "the chain, the plan or the contract's last quote is too old (`risk.stale_after_s`), or "
    "the feed has failed",
    RefusalReason.REDUCING: "the trading state is REDUCING: only exits",
    RefusalReason.HALTED: "the trading state is HALTED: nothing but cancels",
    RefusalReason.ACCOUNT_DIFFERS: "our books and the broker's differ, or have not been compared yet; "
    "the detail says where",
    RefusalReason.EXCHANGE_REJECTED: "the exchange (or the paper exchange) rejected the order; the detail says why",
}


class Refused(Message, frozen=True, gc=False):
    """Something was not done, and why. Selector, risk or order actor -> recorder, strategy, observers."""

    ts: int
    strategy: str
    underlying: str
    reason: RefusalReason
    detail: str
    signal_id: str = ""


class OrderIntent(Message, frozen=True, gc=False):
    """Risk agrees: enter. RiskActor -> OrderActor. `plan` says what; `intent_id` is unique for ever."""

    intent_id: str
    ts: int
    plan: TradePlan


class TradingState(Word):
    """What may be done. ACTIVE: all; REDUCING: exits only; HALTED: nothing but cancels."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class SetTradingState(Message, frozen=True, gc=False):
    """Change what may be done. Operator, Supervisor -> RiskActor. Empty scope: the whole account."""

    state: TradingState
    reason: str
    strategy: str = ""
    underlying: str = ""


class Flatten(Message, frozen=True, gc=False):
    """Close what is open. StrategyActor, RiskActor, operator -> OrderActor.

    Empty strategy: everybody's. Empty underlying: on all of them.
    """

    ts: int
    reason: str
    strategy: str = ""
    underlying: str = ""
