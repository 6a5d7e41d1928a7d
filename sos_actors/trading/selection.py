"""Which contract a signal trades, and at what prices of that contract.

A right that the signal's `option_selection` writes out wins; without one LONG buys the call and SHORT the put. Options
are always bought here.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from sos_actors.market.ids import index_id, option_id
from sos_actors.market.option_choice import Selection, parse_selection
from sos_actors.messages import (
    CE,
    NAN,
    PE,
    ChainSnapshot,
    Direction,
    RefusalReason,
    Right,
    Side,
    Signal,
    TradePlan,
)
from sos_actors.trading.levels import LevelSettings, premium_levels, shifted_levels
from sos_actors.trading.ranking import RankingSettings, rank
from sos_actors.trading.ticks import tick_nearest

#: Reached through its class, a member of an enumeration costs ten times as much.
BUY, SELL, LONG = Side.BUY, Side.SELL, Direction.LONG


class SelectionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a contract is chosen."""

    #: Widest spread, as a fraction of its mid, of a contract that is entered; where quotes are known.
    max_spread: float = 0.05
    #: Least open interest in units of a contract that is entered; where it is known.
    min_oi: float = 1.0
    #: Price grid in rupees.
    tick: float = 0.05
    #: How levels of the index become levels of the premium.
    levels: LevelSettings = LevelSettings()
    #: How RANKED selections score strikes.
    ranking: RankingSettings = RankingSettings()

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in ("max_spread", "min_oi", "tick"):
            if getattr(self, name) < 0:
                raise ValueError(f"selection.{name} is {getattr(self, name)}: write 0 or more")


class Choice(msgspec.Struct, frozen=True, gc=False):
    """The contract and its prices in rupees; NaN where a level is not used or a figure not known."""

    instrument: str
    kind: str
    side: Side
    right: Right | None
    strike: float
    entry: float
    stop: float
    target: float
    index_stop: float = NAN
    index_target: float = NAN
    delta: float = NAN
    bid: float = NAN
    ask: float = NAN
    score: float = NAN


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Why there is no choice, with one line of detail."""

    reason: RefusalReason
    detail: str


def select(
    signal: Signal,
    snapshot: ChainSnapshot | None,
    settings: SelectionSettings,
    *,
    future: tuple[str, float] | None = None,
) -> Choice | Refusal:
    """Choose the contract for a signal. `future` is the near future's id and price, for FUTURE selections.

    Refuses with NO_CHAIN, STALE_DATA, NO_CONTRACT, NO_PRICE, SPREAD_TOO_WIDE or BAD_LEVELS.
    """
    selection = parse_selection(signal.selection)
    if selection.kind == "UNDERLYING":
        return _direct(signal, index_id(signal.underlying), "INDEX", signal.entry, 0.0)
    if selection.kind == "FUTURE":
        instrument, price = future or (f"near future of {signal.underlying}", NAN)
        return _direct(signal, instrument, "FUT", price, settings.tick)
    if snapshot is None or not len(snapshot.strikes):
        return Refusal(RefusalReason.NO_CHAIN, f"no option chain of {signal.underlying}")
    if "stale" in snapshot.missing:
        return Refusal(RefusalReason.STALE_DATA, f"the option chain of {signal.underlying} is stale")
    right = selection.right or (Right.CE if signal.direction is LONG else Right.PE)
    found = _column(selection, CE if right is Right.CE else PE, snapshot, settings)
    return found if isinstance(found, Refusal) else _option(signal, snapshot, right, found, settings)


def plan(signal: Signal, choice: Choice, *, quantity: int, lot_size: int) -> TradePlan:
    """Put signal, choice and size together: the plan for the risk actor. Its id is the signal's."""
    return TradePlan(
        f"{signal.signal_id}-p",
        signal.signal_id,
        signal.strategy,
        signal.underlying,
        signal.ts,
        signal.direction,
        choice.instrument,
        choice.side,
        quantity,
        lot_size,
        choice.entry,
        choice.stop,
        choice.target,
        choice.index_stop,
        choice.index_target,
        signal.regime,
        choice.right,
        choice.delta,
        choice.bid,
        choice.ask,
        choice.score,
        signal.flip,
    )


def _direct(signal: Signal, instrument: str, kind: str, price: float, tick: float) -> Choice | Refusal:
    """Trade the underlying or its future: the signal's own levels, moved by the basis."""
    if not price > 0.0:
        return Refusal(RefusalReason.NO_PRICE, f"{instrument}: no price")
    side = BUY if signal.direction is LONG else SELL
    levels = shifted_levels(signal, price, tick)
    fault = levels.fault(side)
    if fault:
        return Refusal(RefusalReason.BAD_LEVELS, f"{instrument}: {fault}")
    return Choice(instrument, kind, side, None, NAN, levels.entry, levels.stop, levels.target)


def _column(
    selection: Selection,
    right: int,
    snapshot: ChainSnapshot,
    settings: SelectionSettings,
) -> tuple[int, float] | Refusal:
    """Index of the strike in the snapshot's arrays and its score (NaN unless ranked)."""
    if selection.kind == "RANKED":
        ranked = rank(snapshot, right, settings.ranking)
        if ranked:
            return ranked[0].column, ranked[0].score
        detail = "no strike near the money passes the ranking's filters"
    elif selection.kind == "DELTA":
        delta = np.abs(snapshot.delta[right])
        if not np.isnan(delta).all():
            return int(np.nanargmin(np.abs(delta - selection.delta))), NAN
        detail = "no strike has a delta"
    else:
        steps = selection.steps * {"ATM": 0, "OTM": 1, "ITM": -1}[selection.kind]
        detail = f"the chain has no strike {abs(steps)} steps from the money"
        if not math.isnan(snapshot.atm_strike):
            at_money = int(np.argmin(np.abs(snapshot.strikes - snapshot.atm_strike)))
            column = at_money + (steps if right == CE else -steps)
            if 0 <= column < len(snapshot.strikes):
                return column, NAN
    return Refusal(RefusalReason.NO_CONTRACT, detail)


def _option(
    signal: Signal,
    snapshot: ChainSnapshot,
    right: Right,
    found: tuple[int, float],
    settings: SelectionSettings,
) -> Choice | Refusal:
    column, score = found
    row = CE if right is Right.CE else PE
    strike = float(snapshot.strikes[column])
    instrument = option_id(snapshot.underlying, snapshot.expiry, strike, right)
    price, bid, ask, delta, gamma = (
        float(field[row, column])
        for field in (snapshot.price, snapshot.bid, snapshot.ask, snapshot.delta, snapshot.gamma)
    )
    fault = _contract_fault(instrument, price, bid, ask, float(snapshot.oi[row, column]), settings=settings)
    if fault is not None:
        return fault
    entry = tick_nearest(ask if 0.0 < bid <= ask else price, settings.tick)
    levels = premium_levels(signal, entry, delta=delta, gamma=gamma, settings=settings.levels, tick=settings.tick)
    wrong = levels.fault(BUY)
    if not wrong and 0.0 < bid <= ask and levels.stop >= bid:
        # It would be hit where the option is sold now, and the size would be that of a risk of next to nothing.
        wrong = f"stop {levels.stop:g} is not under the bid {bid:g}"
    if wrong:
        return Refusal(RefusalReason.BAD_LEVELS, f"{instrument}: {wrong}")
    return Choice(
        instrument,
        "OPT",
        BUY,
        right,
        strike,
        levels.entry,
        levels.stop,
        levels.target,
        signal.stop,
        signal.target,
        delta,
        bid,
        ask,
        score,
    )


def _contract_fault(
    instrument: str,
    price: float,
    bid: float,
    ask: float,
    oi: float,
    *,
    settings: SelectionSettings,
) -> Refusal | None:
    if not price > 0.0:
        return Refusal(RefusalReason.NO_PRICE, f"{instrument}: no price")
    if oi < settings.min_oi:
        return Refusal(RefusalReason.NO_CONTRACT, f"{instrument}: open interest {oi:g} is under {settings.min_oi:g}")
    if 0.0 < bid <= ask and (ask - bid) / ((ask + bid) / 2.0) > settings.max_spread:
        return Refusal(RefusalReason.SPREAD_TOO_WIDE, f"{instrument}: bid {bid:g}, ask {ask:g}")
    return None
