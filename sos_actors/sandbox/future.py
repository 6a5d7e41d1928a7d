"""The near future of the simulated market: fair carry, a basis that wanders, volume and open interest."""

from __future__ import annotations

import math

import numpy as np

from sos_actors.market.day import BarColumns
from sos_actors.market.ids import future_id
from sos_actors.sandbox.bars import to_lots, to_tick, traded_ohlc
from sos_actors.sandbox.seeding import stream
from sos_actors.sandbox.session import Session
from sos_actors.sandbox.session_path import log_ou

BASIS_HALF_LIFE = 20.0
#: Ticks by which a trade may print away from the fair value.
BOUNCE_TICKS = 3.0
#: Open interest of the future moves by this share of itself a day for each unit of mean pressure, and at random.
OI_RESPONSE, OI_NOISE = 0.06, 0.02


def simulate_future(session: Session) -> BarColumns:
    """Minute bars of the near future with volume and open interest in multiples of the lot."""
    expiry, tick = session.listing.future, session.listing.future_tick
    lot = session.lot(expiry)
    rng = stream(session.seed, "future", session.underlying, session.day.toordinal())
    basis = log_ou(rng, session.minutes, BASIS_HALF_LIFE, session.settings.basis_noise)
    bounce = tick * rng.uniform(-BOUNCE_TICKS, BOUNCE_TICKS, session.spot.shape)
    prices = to_tick(session.spot * session.carry(expiry) * np.exp(basis) + bounce, tick)
    busy = np.exp(0.4 * rng.standard_normal(session.minutes) - 0.08)
    lots = to_lots(session.index.future_volume * session.activity * busy, lot)
    opening, high, low, close = traded_ohlc(prices, lots)
    noise = OI_NOISE / math.sqrt(session.minutes) * rng.standard_normal(session.minutes)
    growth = np.cumsum(session.shape * OI_RESPONSE * session.pressure / session.minutes + noise)
    level = math.exp(0.1 * float(rng.standard_normal()))
    oi = to_lots(session.index.future_oi * level * np.exp(growth), lot) * lot
    return BarColumns(
        instrument=future_id(session.underlying, expiry),
        interval_s=60,
        start=session.start,
        open=opening,
        high=high,
        low=low,
        close=close,
        volume=lots * lot,
        oi=oi,
    )
