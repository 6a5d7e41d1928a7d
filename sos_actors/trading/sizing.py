"""How much: lots from the money at risk, cut by margin, freeze quantity and limits."""

from __future__ import annotations

import math

import msgspec

from sos_actors.messages import RefusalReason, Side


class SizingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one trade may cost."""

    #: Fraction of equity lost at most when the stop is hit.
    risk_fraction: float = 0.005
    #: Rupees lost at most when the stop is hit.
    risk_cap: float = 25_000.0
    #: Most the regime's quantity multiplier may scale a trade by.
    quantity_mod_cap: float = 2.5
    #: Most lots of one trade.
    max_lots: int = 50
    #: Units of every trade instead of the rule; 0 = by the rule.
    fixed_quantity: int = 0
    #: Fraction of the notional held as margin for a short option, a future or the underlying: a stated
    #: approximation of SPAN plus exposure; 0 = no margin is asked for these.
    margin_fraction: float = 0.15
    #: Fraction of the free cash one trade may use.
    cash_fraction: float = 1.0

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in self.__struct_fields__:
            if getattr(self, name) < 0:
                raise ValueError(f"sizing.{name} is {getattr(self, name)}: write 0 or more")
        for name in ("risk_fraction", "margin_fraction", "cash_fraction"):
            if getattr(self, name) > 1:
                raise ValueError(f"sizing.{name} is {getattr(self, name)}: write a fraction, 0.01 for 1 %")


class Size(msgspec.Struct, frozen=True, gc=False):
    """Units to trade; 0 with the reason and one line of detail when there are none."""

    quantity: int
    reason: RefusalReason | None = None
    detail: str = ""


def margin_per_unit(kind: str, side: Side, price: float, spot: float, settings: SizingSettings) -> float:
    """Rupees one unit ties up: the premium of a bought option, else a fraction of the notional."""
    if kind == "OPT":
        if side is Side.BUY:
            return price
        return settings.margin_fraction * (price if math.isnan(spot) else spot)
    return settings.margin_fraction * price


def size(
    *,
    kind: str,
    side: Side,
    entry: float,
    stop: float,
    spot: float,
    lot_size: int,
    freeze_quantity: int,
    quantity_mod: float,
    equity: float,
    free_cash: float,
    settings: SizingSettings,
) -> Size:
    """Units of one trade: floor(floor(min(risk cap, equity x risk) / (risk a lot)) x quantity_mod) lots, then cut.

    `kind` is OPT, FUT or INDEX; prices in rupees; `equity` and `free_cash` rupees. Without a stop (NaN) a bought
    option risks its whole premium; anything else cannot be sized and gives SIZE_ZERO, unless `fixed_quantity`
    is set. `freeze_quantity` is the most units of one order (0 = unknown, no cut).
    """
    if settings.fixed_quantity:
        wanted, step, why = settings.fixed_quantity, 1, "fixed quantity"
    else:
        risk = abs(entry - stop)
        if math.isnan(stop) and kind == "OPT" and side is Side.BUY:
            risk = entry
        if not risk > 0.0:
            return Size(0, RefusalReason.SIZE_ZERO, f"no risk a unit can be told from entry {entry} and stop {stop}")
        budget = min(settings.risk_cap, equity * settings.risk_fraction)
        lots = math.floor(max(budget, 0.0) / (risk * lot_size))
        lots = min(math.floor(lots * min(quantity_mod, settings.quantity_mod_cap)), settings.max_lots)
        wanted, step = lots * lot_size, lot_size
        why = f"risk budget {budget:.0f} rupees, {risk * lot_size:.0f} a lot, x{quantity_mod:g}"
    if freeze_quantity > 0:
        wanted = min(wanted, freeze_quantity // step * step)
    if wanted <= 0:
        return Size(0, RefusalReason.SIZE_ZERO, why)
    tied = margin_per_unit(kind, side, entry, spot, settings)
    if tied > 0.0:
        affordable = math.floor(max(free_cash, 0.0) * settings.cash_fraction / (tied * step)) * step
        if affordable <= 0 or (settings.fixed_quantity and affordable < wanted):
            return Size(0, RefusalReason.MARGIN, f"{tied * step:.0f} rupees a {step} units, {free_cash:.0f} free")
        wanted = min(wanted, affordable)
    return Size(wanted, None, why)
