"""The vocabulary of strategy expressions: every name there is, what it means, and the Python it becomes.

The compiler knows nothing that is not in these tables, and docs/strategies.md is written from them.
"""

from __future__ import annotations

from typing import NamedTuple

from sos_actors.quant.studies import BAR_FIELDS

NUMBER, TRUTH, TEXT = "number", "truth", "text"

#: What `smart_trend` can say; '' until known.
TRENDS = ("Long Buildup", "Short Covering", "Short Buildup", "Long Unwinding", "Neutral")

FIELD_HELP: dict[str, str] = {
    "open": "first price of the bar",
    "high": "highest price",
    "low": "lowest price",
    "close": "last price",
    "volume": "units traded; for an index those of the near future, else the sum over its options, else unknown",
    "oi": "open interest at the bar's end, units",
    "body_size": "|close - open|",
    "candle_size": "high - low",
    "range": "the same as candle_size",
    "high_wick": "high less the upper end of the body",
    "low_wick": "lower end of the body less low",
    "hl2": "(high + low) / 2",
    "typical": "(high + low + close) / 3",
}

_CHAIN_HELP: dict[str, str] = {
    "pcr": "put-call ratio by open interest",
    "pcr_volume": "put-call ratio by volume",
    "pcr_oi_change": "put-call ratio by change of open interest",
    "pcr_velocity": "change of pcr a minute, over the configured window (`chain.pcr_velocity_minutes`)",
    "smart_trend": "text: 'Long Buildup', 'Short Covering', 'Short Buildup', 'Long Unwinding' or 'Neutral'",
    "regime": "text: the chain's regime, e.g. 'BULLISH'",
    "breadth_ratio": "advancing over declining constituents; no source follows them yet, so it is never known",
    "ce_oi": "open interest of all calls, units",
    "pe_oi": "open interest of all puts, units",
    "ce_oi_change": "change of the calls' open interest over the window, units",
    "pe_oi_change": "change of the puts' open interest over the window, units",
    "ce_volume": "volume of all calls, units",
    "pe_volume": "volume of all puts, units",
    "oi_wall_above": "strike above the spot with most call open interest",
    "oi_wall_below": "strike below the spot with most put open interest",
    "max_pain": "strike at which option writers would pay least at expiry",
    "spot": "price of the index",
    "forward": "forward implied by put-call parity",
    "atm_strike": "strike nearest the index, where that is not known nearest the forward",
    "straddle": "price of the call and put at the money, rupees",
    "atm_iv": "implied volatility at the money, fraction a year",
    "iv_skew": "implied volatility of puts less that of calls, fraction a year",
    "iv_rank": "where atm_iv lies between its lowest and highest, 0 to 100; known with `chain.iv_rank_basis: session`",
    "iv_percentile": "share of the values compared with that are lower than atm_iv, 0 to 100; known as iv_rank is",
    "gamma_exposure": "rupees of the index dealers must sell when it rises 1 %, over all strikes",
    "gamma_flip": "price at which the dealers' gamma changes sign",
    "proxy_oi": "open interest standing in for the index's own, units",
    "years": "time to expiry, years",
}

_STRUCTURE_HELP: dict[str, str] = {
    "day_open": "first price of the day",
    "day_high": "highest price of the day so far",
    "day_low": "lowest price of the day so far",
    "prev_open": "yesterday's open",
    "prev_high": "yesterday's high",
    "prev_low": "yesterday's low",
    "prev_close": "yesterday's close",
    "pivot": "yesterday's (high + low + close) / 3",
    "cpr_top": "upper end of the central pivot range",
    "cpr_bottom": "lower end of the central pivot range",
    "cpr_virgin": "truth: the price has not touched the central pivot range today",
    "opening_high": "high of the opening range",
    "opening_low": "low of the opening range",
    "swing_high": "last confirmed swing high",
    "swing_low": "last confirmed swing low",
    "hurdle_above": "nearest level above at which the price stalled or open interest is piled up",
    "hurdle_below": "the same below",
}

_REGIME_HELP: dict[str, str] = {
    "name": "text: the regime, e.g. 'SIDEWAYS'",
    "quantity_mod": "the strategy's own figure for this regime",
    "tp_mult": "the strategy's own figure for this regime",
    "tp": "older spelling of tp_mult",
    "buffer_atr": "the strategy's own figure for this regime",
}

_SCREENER_HELP: dict[str, str] = {
    "rvol": "volume over its mean of the last 20 bars",
    "change_from_open": "close against the day's first open, per cent",
}

#: Attributes by the word before the dot. `candle`, `prev_candle` and `confirm` have the bar's fields and `atr` besides.
ATTRIBUTES: dict[str, dict[str, str]] = {
    "sentiment": _CHAIN_HELP,
    "chain": _CHAIN_HELP,
    "structure": _STRUCTURE_HELP,
    "regime": _REGIME_HELP,
    "screener": _SCREENER_HELP,
}

#: Names only `entry`, `sl` and `tp` may use.
LEVEL_HELP: dict[str, str] = {
    "entry": "the entry price",
    "sl": "the stop, before any buffer",
    "risk": "|entry - sl|",
    "tp_mult": "the regime's factor; a target that uses it is not scaled once more",
}


class StudyFunction(NamedTuple):
    """A function computed bar by bar. `kind` as in StudySpec; `parameters` are (name, default), None: must be given."""

    kind: str
    parameters: tuple[tuple[str, float | str | None], ...]
    help: str


_OVER = (("n", None), ("field", "close"))
STUDY_FUNCTIONS: dict[str, StudyFunction] = {
    "ema": StudyFunction("ema", _OVER, "exponential average, alpha 2 / (n + 1), seeded with the first value"),
    "sma": StudyFunction("sma", _OVER, "arithmetic mean of the last n bars"),
    "moving_avg": StudyFunction("sma", _OVER, "the same as sma"),
    "sum": StudyFunction("sum", _OVER, "sum over the last n bars"),
    "stdev": StudyFunction("stdev", _OVER, "population standard deviation of the last n bars"),
    "highest": StudyFunction("highest", _OVER, "highest of the last n bars, this one included"),
    "lowest": StudyFunction("lowest", _OVER, "lowest of the last n bars, this one included"),
    "lag": StudyFunction("lag", _OVER, "the value n bars ago"),
    "change": StudyFunction("change", _OVER, "the value less the one n bars ago"),
    "rsi": StudyFunction("rsi", (("n", 14), ("field", "close")), "relative strength index after Wilder, 0 to 100"),
    "rsi_slope": StudyFunction("rsi_slope", (("n", 14), ("bars", 3)), "change of rsi(n) over the last `bars` bars"),
    "atr": StudyFunction("atr", (("n", 14),), "average true range after Wilder, points; bare `atr` is that of 14 bars"),
    "vwap": StudyFunction("vwap", (), "the day's volume-weighted average of `typical`; unknown without volume"),
    "bb_mid": StudyFunction("sma", (("n", 20), ("k", 2.0), ("field", "close")), "middle Bollinger band: sma(n)"),
    "bb_upper": StudyFunction("bb_upper", (("n", 20), ("k", 2.0), ("field", "close")), "sma(n) + k stdev(n)"),
    "bb_lower": StudyFunction("bb_lower", (("n", 20), ("k", 2.0), ("field", "close")), "sma(n) - k stdev(n)"),
}

#: Functions of one bar: `body_size()` of this candle, `body_size(prev_candle)` of the one before.
CANDLE_FUNCTIONS = ("body_size", "candle_size", "high_wick", "low_wick")

PLAIN_FUNCTIONS: dict[str, str] = {
    "crosses_above(a, b)": "a is above b now and was not a bar ago; a, b: prices of the bar, studies, constants",
    "crosses_below(a, b)": "a is below b now and was not a bar ago",
    "time_is_between(timestamp, 'HH:MM', 'HH:MM')": "the bar starts at or after the first and before the second, IST",
    "prev_day_close()": "yesterday's close, the same as structure.prev_close",
    "round(x, digits)": "digits may be negative: round(close, -2) is the nearest hundred",
    "abs(x)": "absolute value",
    "min(a, b, ...)": "least; unknown when one is unknown",
    "max(a, b, ...)": "greatest; unknown when one is unknown",
}

#: Names of the language: `close = 5` as a condition is a slip of the pen, `swing = high` an older way to capture.
RESERVED = frozenset(
    (*FIELD_HELP, *LEVEL_HELP, *ATTRIBUTES, "atr", "candle", "prev_candle", "history", "vars", "confirm")
)


def bar_template(field: str, bar: str) -> str:
    """Python for a field of a bar, e.g. ('body_size', 'p') -> 'abs(p.close - p.open)'."""
    return BAR_FIELDS[field].replace("bar.", f"{bar}.")
