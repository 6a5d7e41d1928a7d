"""Who is in the cast of a run, and in which order: the wiring, on one page.

The order of spawning is the order of subscription, and so the order in which the subscribers of one topic hear a
message. Each actor's constructor says what it hears; `messages.Stage` is the order within one instant.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sos_actors.actors.bar import BarActor
from sos_actors.actors.broker import PaperBrokerActor
from sos_actors.actors.chain import ChainActor
from sos_actors.actors.feed import FeedActor
from sos_actors.actors.order import OrderActor
from sos_actors.actors.recorder import RecorderActor
from sos_actors.actors.risk import RiskActor
from sos_actors.actors.selector import Lots, LotsOf, SelectorActor
from sos_actors.actors.strategy import StrategyActor
from sos_actors.actors.structure import StructureActor
from sos_actors.actors.study import StudyActor
from sos_actors.actors.tick_feed import TickFeedActor
from sos_actors.config import Config
from sos_actors.errors import InputError
from sos_actors.market.bars import BarBuilder
from sos_actors.market.calendar import INDIA, regular_session
from sos_actors.market.charges import ChargeModel
from sos_actors.market.clocktime import ist_date
from sos_actors.market.contracts import ContractRules
from sos_actors.market.day import DayStats, MarketDay, TickColumns
from sos_actors.market.expiries import expiry_instant
from sos_actors.market.frames import FrameBuilder
from sos_actors.market.ids import EXCHANGE_OF, near_future, parse_id
from sos_actors.messages import ExchangeBar, Tick, TradeClosed
from sos_actors.playbook.compiler import CompiledStrategy
from sos_actors.playbook.loader import Playbook
from sos_actors.quant.analyst import ChainAnalyst
from sos_actors.quant.forward import years_to_expiry
from sos_actors.quant.structure import StructureTracker
from sos_actors.quant.studies import StudyBook
from sos_actors.runtime import RestartPolicy, Runtime, group_of
from sos_actors.runtime.supervision import VITAL
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.ledger import Ledger
from sos_actors.trading.limits import RiskBook
from sos_actors.trading.matching import PaperExchange

#: A strategy that fails more often than this is benched; the rest of the cast trades on. It is given a message a bar:
#: the period must be long enough for four bars of any length a day has several of.
STRATEGY_POLICY = RestartPolicy(restarts=3, period_s=3_600)


@dataclass(frozen=True, slots=True)
class Underlying:
    """What the data of one underlying has: decides which actors it gets.

    `chain` asks for the chain actor even where no strategy of the playbook reads one.
    """

    name: str
    chain: bool = False
    tick_instruments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cast:
    """Everything a cast is made of. A backtest's has exactly one of `load_day` and `load_ticks`.

    `lots_of` (instrument, day) gives lots and largest orders; None: by the dated rules of the exchanges.
    """

    config: Config
    playbook: Playbook
    underlyings: Sequence[Underlying]
    charges: ChargeModel | None
    previous_day: Callable[[str, dt.date], DayStats | None]
    load_day: Callable[[dt.date], Sequence[MarketDay]] | None = None
    load_ticks: Callable[[dt.date], Sequence[TickColumns]] | None = None
    trade_from: int = 0
    on_trade: Callable[[TradeClosed], None] | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    lots_of: LotsOf | None = None

    @property
    def names(self) -> list[str]:
        """The underlyings."""
        return [underlying.name for underlying in self.underlyings]

    def group(self, path: str) -> str:
        """Give the dispatch group of an actor."""
        return group_of(self.groups, path)


def build(runtime: Runtime, cast: Cast) -> RecorderActor:
    """Spawn the cast of a backtest; gives the recorder, which holds what the run came to."""
    lots_of = cast.lots_of or lots_by_rule()
    if cast.load_day is not None:
        runtime.spawn(FeedActor, "feed", cast.load_day, group=cast.group("feed"), policy=VITAL)
    if cast.load_ticks is not None:
        runtime.spawn(TickFeedActor, "feed", cast.load_ticks, group=cast.group("feed"), policy=VITAL)
    spawn_paper_broker(runtime, cast, lots_of, Tick if cast.load_ticks else ExchangeBar)
    spawn_thinking(runtime, cast)
    spawn_selectors(runtime, cast, lots_of)
    book = RiskBook(cast.config.risk, rest_target=cast.config.orders.rest_target)
    spawn_order_path(runtime, cast, new_desk(cast), book)
    return spawn_recorder(runtime, cast)


def spawn_paper_broker(runtime: Runtime, cast: Cast, lots_of: LotsOf, prices: type[ExchangeBar | Tick]) -> None:
    """Spawn the exchange in the process."""
    exchange = PaperExchange(cast.config.paper, _lot_sizes(cast, runtime, lots_of))
    runtime.spawn(PaperBrokerActor, "broker", exchange, prices, group=cast.group("broker"), policy=VITAL)


def spawn_thinking(runtime: Runtime, cast: Cast) -> None:
    """Spawn what turns data into signals: analytics and strategies of every underlying."""
    for underlying in cast.underlyings:
        _spawn_analytics(runtime, cast, underlying)
    for underlying in cast.underlyings:
        _spawn_strategies(runtime, cast, underlying)


def spawn_selectors(runtime: Runtime, cast: Cast, lots_of: LotsOf) -> None:
    """Spawn what turns signals into plans."""
    c = cast.config
    for name in cast.names:
        runtime.spawn(SelectorActor, f"selector/{name}", name, c.selection, c.sizing, c.debounce, lots_of, policy=VITAL)


def spawn_order_path(runtime: Runtime, cast: Cast, desk: OrderDesk, book: RiskBook, *, durable: bool = False) -> None:
    """Spawn limits and order desk; with `durable` they have their state kept by the broker's gateway."""
    runtime.spawn(RiskActor, "risk", book, cast.names, durable=durable, policy=VITAL)
    runtime.spawn(OrderActor, "orders", desk, timed=_timed(cast), durable=durable, policy=VITAL)


def spawn_recorder(runtime: Runtime, cast: Cast) -> RecorderActor:
    """Spawn what keeps decisions and executions, and give it."""
    group = cast.group("recorder")
    runtime.spawn(RecorderActor, "recorder", cast.names, cast.on_trade, group=group, policy=VITAL)
    recorder = runtime.actor("recorder")
    assert isinstance(recorder, RecorderActor)
    return recorder


def _spawn_analytics(runtime: Runtime, cast: Cast, underlying: Underlying) -> None:
    """Bars (from ticks), chain, structure and studies of one underlying: as far as a strategy reads them."""
    name = underlying.name
    strategies = strategies_of(cast.playbook, name)

    def previous_day(day: dt.date) -> DayStats | None:
        return cast.previous_day(name, day)

    for instrument in underlying.tick_instruments:
        keys = (instrument, near_future(name)) if parse_id(instrument).kind == "FUT" else (instrument,)
        builder = BarBuilder(instrument, settings=cast.config.bars)
        runtime.spawn(BarActor, f"bar/{instrument}", instrument, builder, keys, policy=VITAL)
    if underlying.chain or any(
        "chain" in s.required or set(s.selections.values()) - {"UNDERLYING", "FUTURE"} for s in strategies
    ):
        analyst = ChainAnalyst(name, cast.config.chain)
        contracts = front_contracts(underlying.tick_instruments)
        runtime.spawn(
            ChainActor, f"chain/{name}", analyst, years_to_expiry_of(name), previous_day, rate=cast.config.chain.rate,
            contracts=FrameBuilder(contracts) if contracts else None, policy=VITAL,
        )  # fmt: skip
    if any("structure" in s.required for s in strategies):
        tracker = StructureTracker(name, cast.config.structure)
        runtime.spawn(StructureActor, f"structure/{name}", name, tracker, previous_day, policy=VITAL)
    if strategies:
        books = {seconds: StudyBook(specs) for seconds, specs in cast.playbook.studies.items()}
        with_volume = any("volume" in s.required for s in strategies)
        runtime.spawn(StudyActor, f"study/{name}", name, books, with_volume=with_volume, policy=VITAL)


def front_contracts(instruments: Iterable[str]) -> list[str]:
    """Give the options of the nearest expiry among the instruments."""
    options = {name: parts.expiry for name in instruments if (parts := parse_id(name)).kind == "OPT" and parts.expiry}
    front = min(options.values(), default=None)
    return [name for name, expiry in options.items() if expiry == front]


def _spawn_strategies(runtime: Runtime, cast: Cast, underlying: Underlying) -> None:
    for strategy in strategies_of(cast.playbook, underlying.name):
        path = f"strategy/{underlying.name}/{strategy.id}"
        runtime.spawn(
            StrategyActor, path, strategy, underlying.name,
            trade_from=cast.trade_from, group=group_of(cast.groups, path), policy=STRATEGY_POLICY,
        )  # fmt: skip


def strategies_of(playbook: Playbook, underlying: str) -> list[CompiledStrategy]:
    """Give the strategies that run on an underlying: those that name it, or name none."""
    return [s for s in playbook.strategies if not s.definition.symbols or underlying in s.definition.symbols]


def new_desk(cast: Cast, cash_paise: int | None = None) -> OrderDesk:
    """Make an empty desk with this cash, the configured capital when none is given."""
    cash = round(cast.config.account.capital * 100) if cash_paise is None else cash_paise
    ledger = Ledger(cash, cast.charges)
    return OrderDesk(cast.config.orders, ledger, exits_by_strategy(cast))


def exits_by_strategy(cast: Cast) -> dict[str, ExitSettings]:
    """Give the exit settings of each strategy: its own where its file has them, the house's where not."""
    house = cast.config.orders.exits
    return {strategy.id: _exits(strategy, house) for strategy in cast.playbook.strategies}


def _exits(strategy: CompiledStrategy, house: ExitSettings) -> ExitSettings:
    own = strategy.definition.exits
    return ExitSettings(
        break_even_at=house.break_even_at if own.break_even_at is None else own.break_even_at or None,
        trailing=house.trailing if own.trailing is None else own.trailing or None,
        time_stop_min=house.time_stop_min if own.time_stop is None else own.time_stop or None,
        square_off=house.square_off if own.square_off is None else None if own.square_off == "off" else own.square_off,
    )


def _timed(cast: Cast) -> bool:
    """Say whether anything depends on the order desk hearing every minute: exits, patience, the day's loss."""
    exits = exits_by_strategy(cast).values()
    by_itself = cast.config.orders.entry_patience_s or cast.config.risk.daily_loss
    return bool(by_itself) or any(e.time_stop_min is not None or e.square_off is not None for e in exits)


def _lot_sizes(cast: Cast, runtime: Runtime, lots_of: LotsOf) -> Callable[[str], int] | None:
    """Give the exchange today's lots, so that it fills whole ones; None where a fixed quantity stands above lots."""
    if cast.config.sizing.fixed_quantity:
        return None
    return lambda instrument: lots_of(instrument, ist_date(runtime.clock.now)).lot_size


def lots_by_rule() -> LotsOf:
    """Give lots and largest orders by the dated rules of the exchanges."""
    rules = ContractRules()
    by_the_unit = Lots(1, 0)  # an index, on paper only

    def lots_of(instrument: str, day: dt.date) -> Lots:
        parts = parse_id(instrument)
        if parts.expiry is None:
            return by_the_unit
        terms = rules.terms(parts.underlying, parts.expiry, day, parts.kind)
        return Lots(terms.lot_size, terms.max_order)

    return lots_of


def years_to_expiry_of(underlying: str) -> Callable[[dt.date, int], float]:
    """Give the function (expiry, now) -> calendar years until that expiry stops trading."""
    exchange = EXCHANGE_OF[underlying]
    instants: dict[dt.date, int] = {}

    def years(expiry: dt.date, now: int) -> float:
        instant = instants.get(expiry)
        if instant is None:
            try:
                instant = expiry_instant(exchange, expiry, INDIA)
            except InputError:  # a year whose holidays are not known, or a date the contract has since moved from
                instant = regular_session(expiry).close_ns
            instants[expiry] = instant
        return float(years_to_expiry(now, instant))

    return years
