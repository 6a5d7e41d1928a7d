"""Option chains of the simulated market: prices, quotes and volume of one expiry through a session."""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from sos_actors.market.day import ChainColumns
from sos_actors.messages.market import CHAIN_FIELDS
from sos_actors.quant import black
from sos_actors.sandbox.bars import TICK, ceil_tick, floor_tick, to_lots, to_tick, traded_ohlc
from sos_actors.sandbox.daily import SESSIONS_A_YEAR
from sos_actors.sandbox.open_interest import open_interest
from sos_actors.sandbox.seeding import stream
from sos_actors.sandbox.session import Session
from sos_actors.sandbox.session_path import CLOSE
from sos_actors.sandbox.surface import atm_volatility, smile

Array = NDArray[np.float64]
#: Which of the two rows of a chain are calls: the first.
IS_CALL = np.array([True, False])
#: Share of the half spread by which a trade may print away from the fair value.
BOUNCE = 0.8
#: What an expiry that is not in front trades and how wide it is quoted, relative to the one in front.
FAR_VOLUME, FAR_SPREAD = 0.12, 2.5
#: Distance from the money, in percent of the forward, over which volume falls to 1/e.
OTM_REACH, ITM_REACH = 0.9, 0.35


def listed_strikes(session: Session) -> Array:
    """Strikes of the day: the one nearest the opening index and `strikes_each_side` on either side. [strike]."""
    step = session.listing.strike_step
    middle = np.rint(session.spot[0, 0] / step)
    each = session.settings.strikes_each_side
    return np.asarray((middle + np.arange(-each, each + 1)) * step)


def simulate_chain(session: Session, expiry: dt.date, *, front: bool) -> ChainColumns:
    """One expiry's chain, every field known in every minute: each contract trades at least a lot a minute.

    `front` is the expiry nearest to the day; others trade less and are quoted wider.
    """
    strikes = listed_strikes(session)
    lot = session.lot(expiry)
    days = session.days_to(expiry)
    rng = stream(session.seed, "chain", session.underlying, session.day.toordinal(), expiry.toordinal())
    forward, values = option_values(session, expiry, strikes, days)
    half = half_spreads(session, values[CLOSE], forward[CLOSE], strikes, front=front)
    mid = np.maximum(values[CLOSE], TICK)
    bid = np.maximum(floor_tick(mid - half), TICK)
    ask = to_tick(np.maximum(ceil_tick(mid + half), bid + TICK))
    prints = values + half * rng.uniform(-BOUNCE, BOUNCE, values.shape)
    prints = np.maximum(to_tick(prints), TICK)
    prints[CLOSE] = np.clip(prints[CLOSE], bid, ask)
    lots = traded_lots(session, rng, forward[CLOSE], strikes, lot=lot, days=days, front=front)
    opening, high, low, close = traded_ohlc(prints, lots)
    oi = open_interest(session, expiry, strikes, lot, days, front=front)
    columns = {
        "open": opening,
        "high": high,
        "low": low,
        "close": close,
        "volume": lots * lot,
        "oi": oi,
        "bid": bid,
        "ask": ask,
    }
    out = np.empty((session.minutes, len(CHAIN_FIELDS), 2, len(strikes)))
    for row, field in enumerate(CHAIN_FIELDS):
        out[:, row] = columns[field]
    return ChainColumns(session.underlying, expiry, 60, session.start, strikes, out)


def option_values(session: Session, expiry: dt.date, strikes: Array, days: int) -> tuple[Array, Array]:
    """Value the chain at the four instants of each minute: forwards [4, minute], options [4, minute, right, strike]."""
    forward = session.spot * session.carry(expiry)
    years = session.trading_years(expiry, SESSIONS_A_YEAR)
    atm = atm_volatility(session.settings, session.vix, session.index.vol_ratio, days)
    sigma = smile(session.settings, strikes, forward, years, atm)
    discount = np.exp(-session.settings.rate * session.calendar_years(expiry))[..., None]
    each = (..., None, None)
    values = black.price(
        forward[each], strikes, years[each], sigma[..., None, :], discount[..., None], IS_CALL[:, None]
    )
    return forward, values


def half_spreads(session: Session, values: Array, forward: Array, strikes: Array, *, front: bool) -> Array:
    """Half the bid-ask spread, rupees: by premium, distance from the money and time of day. [minute, right, strike]."""
    percent = 100.0 * (strikes / forward[:, None] - 1.0)
    far = 1.0 + 0.08 * percent * percent
    since_open = np.arange(session.minutes)
    hour = 1.0 + 1.5 * np.exp(-since_open / 8.0)
    width = session.settings.half_spread * (1.0 if front else FAR_SPREAD)
    return np.asarray(np.maximum(width * values * (far * hour[:, None])[:, None, :], 0.5 * TICK))


def traded_lots(
    session: Session, rng: np.random.Generator, forward: Array, strikes: Array, *, lot: int, days: int, front: bool
) -> Array:
    """Lots traded in each minute: most at the money and out of it, most on expiry day. [minute, right, strike]."""
    percent = 100.0 * (strikes / forward[:, None] - 1.0)
    above, below = np.maximum(percent, 0.0), np.maximum(-percent, 0.0)
    far = np.stack([above / OTM_REACH + below / ITM_REACH, below / OTM_REACH + above / ITM_REACH], axis=1)
    reach = np.exp(-far)
    reach *= np.where(strikes % session.index.round_step == 0.0, 1.4, 1.0)
    level = session.index.option_volume * (0.35 + 2.6 * np.exp(-days / 1.2)) * (1.0 if front else FAR_VOLUME)
    noise = np.exp(0.5 * rng.standard_normal(reach.shape) - 0.125)
    return to_lots(level * session.activity[:, None, None] * reach * noise, lot)
