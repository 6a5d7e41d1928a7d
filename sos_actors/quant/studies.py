"""All indicators of one instrument and time frame, each computed once a bar however many strategies use it.

A `StudySpec` names one study, e.g. `StudySpec("ema", "close", 9)`; its source is a field of the bar or another study.
A `StudyTable` gives every distinct study a slot; a `StudyBook` holds the indicators of a table and turns a
bar into the tuple of their values. The book's update is one Python function written out for
exactly its studies, so that a bar costs at most one call an indicator and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sos_actors.messages import Bar
from sos_actors.quant.indicators import (
    NAN,
    Ema,
    Extreme,
    Lag,
    SessionFirst,
    Sma,
    Stdev,
    Vwap,
    WindowSum,
    ema_alpha,
)
from sos_actors.quant.wilder import Atr, Rsi

#: Fields of a bar an indicator may look at, as Python over the bar's own fields (those of `Bar` stand for themselves).
BAR_FIELDS: dict[str, str] = {
    "open": "bar.open",
    "high": "bar.high",
    "low": "bar.low",
    "close": "bar.close",
    "volume": "bar.volume",
    "oi": "bar.oi",
    "body_size": "abs(bar.close - bar.open)",
    "candle_size": "(bar.high - bar.low)",
    "range": "(bar.high - bar.low)",
    "high_wick": "(bar.high - max(bar.open, bar.close))",
    "low_wick": "(min(bar.open, bar.close) - bar.low)",
    "hl2": "((bar.high + bar.low) * 0.5)",
    "typical": "((bar.high + bar.low + bar.close) / 3.0)",
}
MAX_PERIOD = 5000
#: Bars whose mean volume `rvol` compares with.
RVOL_PERIOD = 20

_MAKERS: dict[str, Callable[[int], Any]] = {
    "ema": Ema,
    "sma": Sma,
    "sum": WindowSum,
    "stdev": Stdev,
    "highest": lambda n: Extreme(n, 1),
    "lowest": lambda n: Extreme(n, -1),
    "lag": Lag,
    "rsi": Rsi,
    "atr": Atr,
    "vwap": lambda _: Vwap(),
    "day_open": lambda _: SessionFirst(),
}


#: How a study's value is written where it is more than one field through its indicator; `mean` and `part`
#: are the last two studies it needs.
_TEMPLATES: dict[str, str] = {
    "bb_upper": "{mean} + {k!r} * {part}",
    "bb_lower": "{mean} - {k!r} * {part}",
    "change": "{source} - {part}",
    "rvol": "volume / {part} if {part} > 0.0 else nan",
    "change_from_open": "(close / {part} - 1.0) * 100.0 if {part} > 0.0 else nan",
    "atr": "u{slot}(high, low, close)",
    "vwap": "u{slot}(typical, volume)",
}
#: `Ema.update` of a known value once it is known itself, on the indicator m{slot}; NaN otherwise. The commonest study,
#: and a call costs more than its arithmetic (two of them: 0.18 of 0.75 us a bar).
_EMA = """\
    v{slot} = m{slot}._value
    v{slot} = v{slot} + {alpha!r} * ({source} - v{slot})
    if v{slot} == v{slot}:
        m{slot}._value = v{slot}
    else:
        v{slot} = u{slot}({source})"""


class StudySpec(NamedTuple):
    """One study: what is computed, of what, over how many bars. `k` is the band's width in deviations.

    Kinds: ema, sma, sum, stdev, highest, lowest, lag, change, rsi, atr, vwap, bb_upper, bb_lower, day_open, rvol
    (volume over its mean of 20 bars) and change_from_open (per cent).
    """

    kind: str
    source: str | StudySpec = "close"
    period: int = 0
    k: float = 0.0

    def __str__(self) -> str:
        """Write it as a strategy file does: kind(source, period)."""
        more = [str(number) for number in (self.period, self.k) if number]
        return f"{self.kind}({', '.join([str(self.source), *more])})"

    @property
    def needs(self) -> tuple[StudySpec, ...]:
        """The studies this one is put together from."""
        below = (self.source,) if isinstance(self.source, StudySpec) else ()
        match self.kind:
            case "bb_upper" | "bb_lower":
                parts: tuple[StudySpec, ...] = (
                    StudySpec("sma", self.source, self.period),
                    StudySpec("stdev", self.source, self.period),
                )
            case "change":
                parts = (StudySpec("lag", self.source, self.period),)
            case "rvol":
                parts = (StudySpec("sma", "volume", RVOL_PERIOD),)
            case "change_from_open":
                parts = (StudySpec("day_open", "open"),)
            case _:
                parts = ()
        return below + parts

    @property
    def warmup(self) -> int:
        """How many bars it takes until the study is known."""
        own = {"lag": self.period + 1, "change": self.period + 1, "rsi": self.period + 1, "rvol": RVOL_PERIOD}.get(
            self.kind, max(self.period, 1)
        )
        return own + (self.source.warmup - 1 if isinstance(self.source, StudySpec) else 0)

    @property
    def fields(self) -> tuple[str, ...]:
        """The bar fields it reads itself, without those of the studies below it."""
        special = {
            "atr": ("high", "low", "close"),
            "vwap": ("typical", "volume"),
            "rvol": ("volume",),
            "change_from_open": ("close",),
            "bb_upper": (),
            "bb_lower": (),
        }
        if self.kind in special:
            return special[self.kind]
        return (self.source,) if isinstance(self.source, str) else ()

    @property
    def uses_volume(self) -> bool:
        """Whether the bar's volume is looked at, by this study or one below it."""
        return self.kind == "vwap" or "volume" in self.fields or any(spec.uses_volume for spec in self.needs)


class StudyTable:
    """Which slot belongs to which study; slots are given in the order of first asking, parts before wholes."""

    def __init__(self, specs: Iterable[StudySpec] = ()) -> None:
        self._slots: dict[StudySpec, int] = {}
        for spec in specs:
            self.slot(spec)

    def slot(self, spec: StudySpec) -> int:
        """Give the slot of a study, adding it and what it is made of if it is new; raises ValueError for a bad one."""
        if spec in self._slots:
            return self._slots[spec]
        _check(spec)
        for part in spec.needs:
            self.slot(part)
        return self._slots.setdefault(spec, len(self._slots))

    @property
    def specs(self) -> tuple[StudySpec, ...]:
        """All studies, in the order of their slots."""
        return tuple(self._slots)

    @property
    def warmup(self) -> int:
        """How many bars it takes until every study is known."""
        return max((spec.warmup for spec in self._slots), default=1)


class StudyBook:
    """The indicators of one instrument and time frame.

    `update(bar)` takes the next closed bar and gives the values of all slots; NaN where not yet known.
    """

    __slots__ = ("_indicators", "_table", "update")

    update: Callable[[Bar], tuple[float, ...]]

    def __init__(self, specs: Iterable[StudySpec]) -> None:
        self._table = StudyTable(specs)
        self._indicators = {
            slot: _MAKERS[spec.kind](spec.period) for slot, spec in enumerate(self._table.specs) if spec.kind in _MAKERS
        }
        self.update = self._write_update()

    def slot(self, spec: StudySpec) -> int:
        """Which place in the values belongs to `spec`; raises KeyError when the book does not hold it."""
        specs = self._table.specs
        if spec not in specs:
            raise KeyError(f"the book holds no {spec}")
        return specs.index(spec)

    @property
    def specs(self) -> tuple[StudySpec, ...]:
        """All studies, in the order of their slots."""
        return self._table.specs

    @property
    def warmup(self) -> int:
        """How many bars it takes until every study is known."""
        return self._table.warmup

    def new_day(self) -> None:
        """Begin a trading day: session-anchored studies start anew, all others run on."""
        for indicator in self._indicators.values():
            indicator.new_day()

    def state(self) -> list[list[Any]]:
        """Copy the memory of every indicator, for a checkpoint."""
        return [indicator.state() for indicator in self._indicators.values()]

    def restore(self, state: list[list[Any]]) -> None:
        """Take back a checkpoint of a book with the same studies."""
        for indicator, memory in zip(self._indicators.values(), state, strict=True):
            indicator.restore(memory)

    def _write_update(self) -> Callable[[Bar], tuple[float, ...]]:
        """Write the function out. All its text comes from the tables above and from numbers."""
        specs = self._table.specs
        fields = sorted({field for spec in specs for field in spec.fields})
        lines = [f"    {field} = {BAR_FIELDS[field]}" for field in fields]
        lines += [self._statement(slot, spec) for slot, spec in enumerate(specs)]
        values = "".join(f"v{slot}, " for slot in range(len(specs)))
        names: dict[str, Any] = {f"u{slot}": one.update for slot, one in self._indicators.items()}
        names |= {f"m{slot}": one for slot, one in self._indicators.items()}
        local = "".join(f", {name}={name}" for name in names)  # a local name costs half of what a global one does
        source = "\n".join([f"def update(bar{local}):", *lines, f"    return ({values})"])
        names |= {"__builtins__": {}, "abs": abs, "min": min, "max": max, "nan": NAN}
        exec(compile(source, "<studies>", "exec"), names)
        update: Callable[[Bar], tuple[float, ...]] = names["update"]
        return update

    def _statement(self, slot: int, spec: StudySpec) -> str:
        table = self._table
        source = spec.source if isinstance(spec.source, str) else f"v{table.slot(spec.source)}"
        if spec.kind == "ema":
            return _EMA.format(slot=slot, source=source, alpha=ema_alpha(spec.period))
        parts = [f"v{table.slot(part)}" for part in spec.needs]
        template = _TEMPLATES.get(spec.kind, "u{slot}({source})")
        mean, part = ["", "", *parts][-2:]
        return f"    v{slot} = " + template.format(slot=slot, source=source, k=spec.k, mean=mean, part=part)


_WITHOUT_PERIOD = ("vwap", "day_open", "rvol", "change_from_open")
_MADE_OF_OTHERS = ("bb_upper", "bb_lower", "change", "rvol", "change_from_open")


def _check(spec: StudySpec) -> None:
    if spec.kind not in _MAKERS and spec.kind not in _MADE_OF_OTHERS:
        raise ValueError(f"unknown study '{spec.kind}'")
    if isinstance(spec.source, str) and spec.source not in BAR_FIELDS:
        raise ValueError(f"unknown field '{spec.source}'; expected one of {', '.join(BAR_FIELDS)}")
    if spec.kind not in _WITHOUT_PERIOD and not 1 <= spec.period <= MAX_PERIOD:
        raise ValueError(f"{spec.kind} over {spec.period} bars; expected 1 to {MAX_PERIOD}")
