"""The pure state behind the chain actor: a frame in, a snapshot out."""

from __future__ import annotations

import datetime as dt
import math
from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from sos_actors.errors import DataError
from sos_actors.messages import CE, CHAIN_FIELDS, NAN, PE, Buildup, ChainFrame, ChainSnapshot, Regime
from sos_actors.quant.chain import (
    Floats,
    Walls,
    above_intrinsic,
    atm_index,
    contract_price,
    max_pain,
    oi_walls,
    ratio,
    straddle,
    totals,
)
from sos_actors.quant.chain_settings import ChainSettings
from sos_actors.quant.forward import parity_forward
from sos_actors.quant.matrix import LABELS, SmartTrend, buildup, majority
from sos_actors.quant.memory import ChainMemory, Past, SessionVolume, known_count, pcr_velocity
from sos_actors.quant.model import ChainModel, chain_model, no_model
from sos_actors.quant.regime import Evidence, RegimeTracker
from sos_actors.quant.volatility import iv_percentile, iv_rank

_CLOSE, _OI, _BID, _ASK = (CHAIN_FIELDS.index(name) for name in ("close", "oi", "bid", "ask"))


class _Reading(NamedTuple):
    """One frame made ready: arrays [2, K] over `strikes`. `reference` is spot, or the forward where spot is unknown."""

    ts: int
    years: float
    strikes: Floats
    price: Floats
    oi: Floats
    spot: float
    forward: float
    reference: float
    discount: float
    atm: int
    future_oi: float


class _Flow(NamedTuple):
    """Totals [calls, puts], ratios, and what moved; `contract_oi_change` and `buildup` are [2, K]."""

    oi: list[float]
    volume: list[float]
    oi_change: list[float]
    pcr: float
    pcr_volume: float
    pcr_oi_change: float
    pcr_velocity: float
    contract_oi_change: Floats
    buildup: NDArray[np.int8]
    trend: Buildup
    volume_known: bool


class ChainAnalyst:
    """Reads the frames of one underlying's chain, in order of time, and says what they mean.

    Pure state: no clock and no randomness, and each snapshot depends on the frames up to it alone. One expiry at a
    time: a frame of another expiry starts the changes, the volume, the trend and the regime afresh.

    `ce_volume`, `pe_volume` and `pcr_volume` are the day's so far. IV rank and percentile run from 0 to 100.

    Words in `ChainSnapshot.missing`, each naming what was absent: 'spot', 'previous_close', 'oi', 'oi_history' (no
    frame old enough for the change of OI), 'volume', 'bid_ask' (no bid at the money), 'future_oi', 'forward',
    'greeks' (switched off, or no IV at the money), 'iv_history' (too few values for a rank), 'breadth' (no
    constituents), 'stale' (see `stale`).
    """

    def __init__(self, underlying: str, settings: ChainSettings) -> None:
        self.underlying = underlying
        self._settings = settings
        windows = (settings.matrix.window_minutes, settings.oi_change_minutes, settings.pcr_velocity_minutes)
        self._memory = ChainMemory(max(windows), settings.gap_minutes, settings.oi_carry_minutes)
        self._trend = SmartTrend(settings.matrix)
        self._regime = RegimeTracker(settings.regime)
        self._begin(NAN, ())

    def new_day(self, day: dt.date, prev_close: float = NAN, iv_history: Sequence[float] = ()) -> None:
        """Begin `day`: the index's close the day before, and at-the-money IVs of earlier days in any order."""
        if prev_close <= 0.0:
            raise DataError(f"{self.underlying} {day}: previous close {prev_close} is not a price; leave it out")
        self._begin(prev_close, iv_history)

    def _begin(self, prev_close: float, iv_history: Sequence[float]) -> None:
        self._previous_close = prev_close
        supplied = iv_history if self._settings.iv_rank_basis == "days" else ()
        self._ivs = sorted(float(iv) for iv in supplied if not math.isnan(iv))
        self._last: ChainSnapshot | None = None
        self._forget_chain()

    def _forget_chain(self) -> None:
        self._volume = SessionVolume()
        self._memory.clear()
        self._trend.reset()
        self._regime.reset()

    def stale(self, ts: int) -> ChainSnapshot | None:
        """Give the last snapshot again, stamped `ts` and with 'stale' in `missing`; None when there was none today."""
        last = self._last
        if last is None:
            return None
        missing = last.missing if "stale" in last.missing else (*last.missing, "stale")
        return msgspec.structs.replace(last, ts=ts, missing=missing)

    def on_frame(self, frame: ChainFrame, years: float, breadth: float = NAN) -> ChainSnapshot:
        """Read the next frame; `years` to expiry at its end, `breadth` advancing over declining shares of the index.

        Raises DataError when the frame has no strikes.
        """
        if not frame.strikes.size:
            raise DataError(f"{frame.underlying} {frame.expiry}: a chain frame without strikes")
        if self._last is not None and frame.expiry != self._last.expiry:
            self._forget_chain()
        now = self._read(frame, years)
        model = self._model(now)
        flow = self._flow(now, frame.column("volume"))
        walls = oi_walls(now.strikes, now.oi, now.reference, self._settings.wall_strikes)
        regime = self._judge(now, flow, walls)
        self._remember(now, flow)
        self._last = self._snapshot(frame, now, model, flow, walls, regime, breadth)
        return self._last

    def _model(self, now: _Reading) -> ChainModel:
        settings = self._settings
        if not settings.greeks:
            return no_model(now.strikes.size)
        return chain_model(
            now.strikes,
            now.price,
            now.oi,
            atm=now.atm,
            spot=now.spot,
            forward=now.forward,
            discount=now.discount,
            years=now.years,
            skew_delta=settings.skew_delta,
            flip_reach=settings.flip_reach,
            flip_steps=settings.flip_steps,
        )

    def _judge(self, now: _Reading, flow: _Flow, walls: Walls) -> Regime:
        call_wall_oi, put_wall_oi = walls.oi.tolist()
        return self._regime.update(
            now.ts,
            Evidence(
                flow.pcr,
                flow.pcr_velocity,
                now.reference,
                self._previous_close if now.spot > 0.0 else NAN,
                self._volume.vwap(on_spot=now.spot > 0.0),
                flow.trend,
                call_wall_oi,
                put_wall_oi,
            ),
        )

    def _remember(self, now: _Reading, flow: _Flow) -> None:
        self._memory.add(
            Past(
                now.ts,
                now.strikes,
                now.price,
                now.oi,
                now.spot,
                now.forward,
                flow.pcr,
                sum(flow.oi),
                now.future_oi,
                known_count(now.oi),
            )
        )

    def _snapshot(
        self,
        frame: ChainFrame,
        now: _Reading,
        model: ChainModel,
        flow: _Flow,
        walls: Walls,
        regime: Regime,
        breadth: float,
    ) -> ChainSnapshot:
        rank, percentile = self._rank(model.atm_iv)
        bid, ask = frame.column("bid"), frame.column("ask")
        quoted = now.atm >= 0 and bool(bid[CE, now.atm] > 0.0)
        return ChainSnapshot(
            underlying=self.underlying,
            expiry=frame.expiry,
            ts=now.ts,
            years=now.years,
            spot=now.spot,
            forward=now.forward,
            atm_strike=float(now.strikes[now.atm]) if now.atm >= 0 else NAN,
            straddle=float(straddle(now.price, now.atm)),
            atm_iv=model.atm_iv,
            iv_skew=model.skew,
            iv_rank=rank,
            iv_percentile=percentile,
            ce_oi=flow.oi[CE],
            pe_oi=flow.oi[PE],
            ce_oi_change=flow.oi_change[CE],
            pe_oi_change=flow.oi_change[PE],
            ce_volume=flow.volume[CE],
            pe_volume=flow.volume[PE],
            pcr=flow.pcr,
            pcr_volume=flow.pcr_volume,
            pcr_oi_change=flow.pcr_oi_change,
            pcr_velocity=flow.pcr_velocity,
            max_pain=float(max_pain(now.strikes, now.oi)),
            oi_wall_above=float(walls.strike[0]),
            oi_wall_below=float(walls.strike[1]),
            gamma_exposure=model.exposure,
            gamma_flip=model.flip,
            proxy_oi=now.future_oi if now.future_oi > 0.0 else sum(flow.oi),
            breadth_ratio=breadth,
            smart_trend=LABELS[flow.trend],
            regime=regime,
            missing=self._missing(now, flow, model, quoted=quoted, breadth=breadth),
            strikes=now.strikes,
            price=now.price,
            bid=bid,
            ask=ask,
            iv=model.iv,
            delta=model.delta,
            gamma=model.gamma,
            theta=model.theta,
            vega=model.vega,
            rho=model.rho,
            oi=now.oi,
            oi_change=flow.contract_oi_change,
            buildup=flow.buildup,
        )

    def _read(self, frame: ChainFrame, years: float) -> _Reading:
        settings, values = self._settings, frame.values
        strikes = self._memory.strikes(frame.strikes)
        oi = self._memory.open_interest(frame.end, values[_OI])
        discount = math.exp(-settings.rate * years)
        price = contract_price(
            values[_CLOSE], values[_BID], values[_ASK], settings.spread_fraction, settings.spread_points
        )
        spot = frame.spot if frame.spot > 0.0 else NAN
        forward = NAN
        if settings.greeks or math.isnan(spot):
            forward = self._forward(strikes, price, spot, discount)
            price = above_intrinsic(strikes, price, forward, discount)
        reference = forward if math.isnan(spot) else spot
        return _Reading(
            frame.end,
            years,
            strikes,
            price,
            oi,
            spot,
            forward,
            reference,
            discount,
            int(atm_index(strikes, reference)),
            frame.future_oi,
        )

    def _forward(self, strikes: Floats, price: Floats, spot: float, discount: float) -> float:
        """Forward from put-call parity, else from the spot by cost of carry (without dividends)."""
        forward, _ = parity_forward(strikes, price[CE], price[PE], discount, spot_hint=spot, fallback=spot / discount)
        return float(forward)

    def _flow(self, now: _Reading, volume: Floats) -> _Flow:
        """Totals, ratios and changes of one frame; adds its volume to the day's."""
        settings = self._settings
        before = self._memory.ago(now.ts, settings.matrix.window_minutes)
        window_oi, codes = self._codes(now, before)
        earlier = self._memory.ago(now.ts, settings.oi_change_minutes)
        oi_change = now.oi - earlier.on(now.strikes).oi if earlier else no_model(now.strikes.size).iv
        oi, minute, change, window = totals(np.array((now.oi, volume, oi_change, window_oi))).tolist()
        volume_known = self._volume.add(minute, now.reference, on_spot=now.spot > 0.0)
        traded = self._volume.traded
        pcr = ratio(oi[PE], oi[CE])
        reference = self._memory.ago(now.ts, settings.pcr_velocity_minutes)
        velocity = pcr_velocity(pcr, now.oi, reference, now.strikes, now.ts) if reference else NAN
        trend = self._smart_trend(now, before, codes, sum(window))
        return _Flow(
            oi,
            traded,
            change,
            pcr,
            ratio(traded[PE], traded[CE]),
            ratio(change[PE], change[CE]),
            velocity,
            oi_change,
            codes,
            trend,
            volume_known,
        )

    def _codes(self, now: _Reading, before: Past | None) -> tuple[Floats, NDArray[np.int8]]:
        """Change of OI over the Money Matrix's window, and each contract's code, both [2, K]."""
        if before is None:
            return np.full(now.oi.shape, NAN), np.full(now.oi.shape, Buildup.UNKNOWN, dtype=np.int8)
        matrix, old = self._settings.matrix, before.on(now.strikes)
        change = now.oi - old.oi
        return change, buildup(
            now.price - old.price, change, matrix.premium_threshold * old.price, matrix.contract_oi_threshold * old.oi
        )

    def _smart_trend(
        self, now: _Reading, before: Past | None, codes: NDArray[np.int8], options_change: float
    ) -> Buildup:
        matrix = self._settings.matrix
        if matrix.smart_trend_rule == "majority":
            if now.atm < 0:
                return Buildup.UNKNOWN
            return majority(codes, np.abs(now.strikes - now.strikes[now.atm]) <= matrix.majority_points)
        if before is None:
            return self._trend.update(NAN, NAN)
        on_spot = now.spot > 0.0 and before.spot > 0.0
        price, old_price = (now.spot, before.spot) if on_spot else (now.forward, before.forward)
        if now.future_oi > 0.0 and before.future_oi > 0.0:
            oi_change = now.future_oi / before.future_oi - 1.0
        else:
            oi_change = options_change / before.options_oi if before.options_oi > 0.0 else NAN
        return self._trend.update(price / old_price - 1.0 if old_price > 0.0 else NAN, oi_change)

    def _rank(self, iv: float) -> tuple[float, float]:
        """IV rank and percentile against the configured history; today's minutes grow by this one afterwards."""
        enough = len(self._ivs) >= self._settings.iv_rank_minimum
        result = (iv_rank(iv, self._ivs), iv_percentile(iv, self._ivs)) if enough else (NAN, NAN)
        if self._settings.iv_rank_basis == "session" and not math.isnan(iv):
            insort(self._ivs, iv)
        return result

    def _missing(
        self, now: _Reading, flow: _Flow, model: ChainModel, *, quoted: bool, breadth: float
    ) -> tuple[str, ...]:
        absent = (
            ("spot", not now.spot > 0.0),
            ("previous_close", math.isnan(self._previous_close)),
            ("oi", math.isnan(sum(flow.oi))),
            ("oi_history", math.isnan(sum(flow.oi_change))),
            ("volume", not flow.volume_known),
            ("bid_ask", not quoted),
            ("future_oi", not now.future_oi > 0.0),
            ("forward", not now.forward > 0.0),
            ("greeks", math.isnan(model.atm_iv)),
            ("iv_history", len(self._ivs) < self._settings.iv_rank_minimum),
            ("breadth", math.isnan(breadth)),
        )
        return tuple([word for word, lacking in absent if lacking])
