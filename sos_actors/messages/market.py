"""Market data as it flows: ticks, bars, chain frames, and what the analytics say of them."""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from sos_actors.messages.base import Message, Regime, VolumeSource
from sos_actors.messages.clock import Stage

NAN = float("nan")
_MINUTE_NS = 60_000_000_000

#: Rows of `ChainFrame.values`, in order.
CHAIN_FIELDS = ("open", "high", "low", "close", "volume", "oi", "bid", "ask")
CE, PE = 0, 1


class Tick(Message, frozen=True, gc=False):
    """One trade or quote update of one instrument. FeedActor -> BarActor, OrderActor, paper broker.

    `ts` is the exchange's trade time (`ltt`), `ts_recv` when it reached us. `day_volume` is the running
    total of the day (`vtt`) in units; -1 where the feed has none (an index). Where a mailbox was full, several ticks
    became one: `high` and `low` are then the extremes of all of them (else NaN), `merged` says how many more it was.
    """

    instrument: str
    ts: int
    ts_recv: int
    price: float
    quantity: int = 0
    day_volume: int = -1
    oi: float = NAN
    bid: float = NAN
    ask: float = NAN
    high: float = NAN
    low: float = NAN
    merged: int = 0

    def range_since(self, since: int) -> tuple[float, float]:
        """Highest and lowest price, rupees, that can matter to an order or position that has stood since `since`, ns.

        Ticks become one within a minute alone. What stands since before it has seen all of them; for what is younger
        the extremes may be from before its time, and only the last price is sure.
        """
        if not self.merged or since > self.ts - self.ts % _MINUTE_NS:
            return self.price, self.price
        return self.high, self.low


class Bar(Message, frozen=True, gc=False):
    """What one instrument did in [start, end). BarActor or FeedActor -> whoever follows the instrument.

    `volume` is in units traded within the bar; `oi`, `bid` and `ask` are those at its end (NaN: unknown).
    `complete` is false when the feed had a hole within the bar.
    """

    instrument: str
    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float = NAN
    oi: float = NAN
    volume_source: VolumeSource = VolumeSource.EXCHANGE
    complete: bool = True
    bid: float = NAN
    ask: float = NAN


class ExchangeBar(Message, frozen=True, gc=False):
    """A bar reaches the exchange. FeedActor -> paper broker, while orders of the instrument wait there.

    At Stage.MATCH_OPEN its first price counts, at Stage.MATCH_RANGE the rest of it, once every consequence of the
    first price has been handled. `bid` and `ask` are the quotes nearest to it, NaN where unknown.
    """

    bar: Bar
    stage: Stage
    bid: float = NAN
    ask: float = NAN


class ChainFrame(Message, frozen=True):
    """One minute of one expiry's chain. FeedActor (minutes) or ChainActor (from bars) -> ChainActor.

    `strikes` [K] ascending; `values` [len(CHAIN_FIELDS), 2, K] with calls at index CE = 0 and puts at
    PE = 1; NaN where nothing is known. Volume is units traded in the minute, OI units. `spot` and
    `future` are the index's and the near future's close of the minute, NaN where unknown.
    """

    underlying: str
    expiry: dt.date
    start: int
    end: int
    strikes: NDArray[np.float64]
    values: NDArray[np.float64]
    spot: float = NAN
    future: float = NAN
    future_oi: float = NAN

    def column(self, field: str) -> NDArray[np.float64]:
        """One field of `CHAIN_FIELDS` as an array [2, K] (a view)."""
        column: NDArray[np.float64] = self.values[CHAIN_FIELDS.index(field)]
        return column


class ChainSnapshot(Message, frozen=True):
    """What the chain of one underlying says at `ts` (the end of the minute). ChainActor -> strategies, selector.

    Scalars are NaN where the data gives no answer, and `missing` says what was absent ('oi', 'volume',
    'spot', 'bid_ask', 'stale'). Arrays are [2, K] over calls and puts. iv is a fraction per year; theta rupees a
    calendar day; vega rupees a vol point (0.01); `*_oi_change` are over the configured window in units; `*_volume` is
    what traded today so far.
    `smart_trend` is as strategies read it: 'Long Buildup' ... 'Neutral', '' until known.
    """

    underlying: str
    expiry: dt.date
    ts: int
    years: float
    spot: float
    forward: float
    atm_strike: float
    straddle: float
    atm_iv: float
    iv_skew: float
    iv_rank: float
    iv_percentile: float
    ce_oi: float
    pe_oi: float
    ce_oi_change: float
    pe_oi_change: float
    ce_volume: float
    pe_volume: float
    pcr: float
    pcr_volume: float
    pcr_oi_change: float
    pcr_velocity: float
    max_pain: float
    oi_wall_above: float
    oi_wall_below: float
    gamma_exposure: float
    gamma_flip: float
    proxy_oi: float
    breadth_ratio: float
    smart_trend: str
    regime: Regime
    missing: tuple[str, ...]
    strikes: NDArray[np.float64]
    price: NDArray[np.float64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    iv: NDArray[np.float64]
    delta: NDArray[np.float64]
    gamma: NDArray[np.float64]
    theta: NDArray[np.float64]
    vega: NDArray[np.float64]
    rho: NDArray[np.float64]
    oi: NDArray[np.float64]
    oi_change: NDArray[np.float64]
    buildup: NDArray[np.int8]


class MarketStructure(Message, frozen=True, gc=False):
    """Levels of one underlying known at `ts`. StructureActor -> strategies. NaN where not yet known.

    CPR is the central pivot range of the previous day; the opening range is that of the first minutes
    (config); `swing_*` are the last confirmed pivots; hurdles are the nearest levels at which the price
    stalled or open interest is piled up.
    """

    underlying: str
    ts: int
    day_open: float = NAN
    day_high: float = NAN
    day_low: float = NAN
    prev_open: float = NAN
    prev_high: float = NAN
    prev_low: float = NAN
    prev_close: float = NAN
    pivot: float = NAN
    cpr_top: float = NAN
    cpr_bottom: float = NAN
    cpr_virgin: bool = False
    opening_high: float = NAN
    opening_low: float = NAN
    swing_high: float = NAN
    swing_low: float = NAN
    hurdle_above: float = NAN
    hurdle_below: float = NAN


class Studies(Message, frozen=True):
    """The indicators every strategy of one underlying and time frame asked for, after one bar.

    StudyActor -> StrategyActor. `values[i]` belongs to slot i, which the compiler gave to one call such
    as `ema(history, 9, 'close')`; NaN until the indicator has seen enough. `previous` is the bar before, or
    `bar` itself at the very first.
    """

    underlying: str
    timeframe: int
    ts: int
    bar: Bar
    previous: Bar
    values: tuple[float, ...]
    warm: bool = True


class Subscribe(Message, frozen=True, gc=False):
    """Somebody needs this instrument's prices. Order path, SubscriptionActor -> FeedActor."""

    instrument: str
    reason: str = ""


class Unsubscribe(Message, frozen=True, gc=False):
    """The same somebody needs them no longer. Order path, SubscriptionActor -> FeedActor."""

    instrument: str
    reason: str = ""


class ContractsChosen(Message, frozen=True, gc=False):
    """Which contracts of an underlying are followed from now on. SubscriptionActor -> ChainActor, FeedActor, observers.

    `instruments` are the options of the `expiry` whose chain is analysed; `others` what else is followed (index,
    near future, later expiries). It replaces what was chosen before.
    """

    underlying: str
    ts: int
    expiry: dt.date
    instruments: tuple[str, ...]
    others: tuple[str, ...] = ()
    future: str = ""


class DayLoaded(Message, frozen=True, gc=False):
    """What the data of one underlying has today. FeedActor -> bar, chain and study actors, at the day's start.

    `index_volume`: the index's bars carry a volume of their own. `future`: id of the near future, '' without one.
    `interval_s`: the length of the bars and frames, 0 for ticks. `since`: when a recording of ticks begins (UTC ns).
    """

    underlying: str
    day: dt.date
    index: bool
    index_volume: bool
    future: str
    chain: bool
    interval_s: int = 0
    since: int = 0


class FeedStatus(Message, frozen=True, gc=False):
    """Whether market data of an underlying can be trusted. LiveFeedActor -> RiskActor, bar actors, observers.

    `since` (UTC ns, 0: unknown) is when the last good data came, where it can be trusted no longer.
    """

    underlying: str
    ts: int
    live: bool
    detail: str = ""
    since: int = 0
