"""Open interest of the simulated chain: piled up at round strikes, and moved by writers who answer to the price."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
from numpy.typing import NDArray

from sos_actors.messages.market import CE, PE
from sos_actors.sandbox.bars import to_lots
from sos_actors.sandbox.seeding import stream
from sos_actors.sandbox.session import Session

Array = NDArray[np.float64]
#: Round strikes hold this many times the open interest of others; every fifth part of them a little more than others.
ROUND, HALF_ROUND = 2.4, 1.35
#: What an expiry that is not in front holds, relative to the one in front.
FAR_OI = 0.35
#: New positions of a session, and what is left open after the last one, as shares of the opening open interest.
GROWTH, EXPIRY_LEFT = 0.25, 0.45
#: Share of the opening open interest that moves in a minute under full price pressure, and at random.
RESPONSE, NOISE = 0.003, 0.0015
#: Bounds of the put-call ratio at the open.
LOWEST_PCR, HIGHEST_PCR = 0.72, 1.3
_STRIKE_NAMES = 4096


def open_interest(session: Session, expiry: dt.date, strikes: Array, lot: int, days: int, *, front: bool) -> Array:
    """Open interest at the end of each minute, units. [minute, right, strike]."""
    standing = _standing(session, expiry, strikes, days)
    standing *= session.index.option_oi * (0.4 + 0.6 * math.exp(-days / 6.0)) * (1.0 if front else FAR_OI)
    rng = stream(session.seed, "oi", session.underlying, session.day.toordinal(), expiry.toordinal())
    mood = 0.2 * float(rng.standard_normal()) - 0.02
    pcr = min(max(math.exp(mood), LOWEST_PCR), HIGHEST_PCR)
    standing[PE] *= pcr * float(standing[CE].sum()) / float(standing[PE].sum())
    moved = 1.0 + np.cumsum(_flow(session, rng, strikes, last_day=days == 0), axis=0)
    return to_lots(standing * np.maximum(moved, 0.1), lot) * lot


def _standing(session: Session, expiry: dt.date, strikes: Array, days: int) -> Array:
    """Open interest at the open relative to a busy strike, [right, strike]; a strike keeps its luck while it lives."""
    percent = 100.0 * (strikes / session.spot[0, 0] - 1.0)
    wide = 1.0 + 0.02 * min(days, 30)
    out_of_money = np.stack([percent, -percent]) / wide
    hump = (0.35 + out_of_money) * np.exp(-out_of_money / 1.3) / 0.63
    profile = np.where(out_of_money >= 0.0, hump, 0.55 * np.exp(out_of_money / 0.7))
    step = session.index.round_step
    round_strike = np.where(strikes % step == 0.0, ROUND, np.where(strikes % (step / 5.0) == 0.0, HALF_ROUND, 1.0))
    luck = stream(session.seed, "strike", session.underlying, expiry.toordinal()).standard_normal((2, _STRIKE_NAMES))
    which = (strikes / session.listing.strike_step).astype(np.int64) % _STRIKE_NAMES
    return np.asarray((profile + 0.002) * round_strike * np.exp(0.25 * luck[:, which]))


def _flow(session: Session, rng: np.random.Generator, strikes: Array, *, last_day: bool) -> Array:
    """Change of open interest in each minute as a share of the opening one, [minute, right, strike].

    Calls are written as the price falls and bought back as it rises, puts the other way, most of all near the money.
    """
    minutes = session.minutes
    at = (np.arange(minutes) + 0.5) / minutes
    total = GROWTH * session.shape / minutes
    if last_day:
        total = total - 2.0 * (1.0 + GROWTH - EXPIRY_LEFT) * at / minutes
    percent = 100.0 * (strikes / session.spot[3][:, None] - 1.0)
    near = np.exp(-np.square(percent / 1.5))
    answer = RESPONSE * (session.shape * session.pressure)[:, None] * near
    sides = np.stack([-answer, answer], axis=1)
    noise = NOISE * rng.standard_normal((minutes, 2, len(strikes))) * session.shape[:, None, None]
    return np.asarray(total[:, None, None] + sides + noise)
