"""Which rule of a strategy applies in which regime."""

from __future__ import annotations

from collections.abc import Mapping

from sos_actors.messages import Regime
from sos_actors.playbook.schema import RegimeRule

#: Most bullish first; UNKNOWN is not among them.
ORDER: tuple[Regime, ...] = tuple(regime for regime in Regime if regime is not Regime.UNKNOWN)
ANY = RegimeRule()
NO_ENTRY = RegimeRule(allow_entry=False)


def rules_by_regime(listed: Mapping[str, RegimeRule]) -> dict[Regime, RegimeRule]:
    """Give every regime its rule.

    A listed regime has its own; another follows its nearest listed neighbour in the bullish-bearish order,
    and of two equally near ones the more cautious (no entry before entry, then the smaller size). UNKNOWN,
    unless listed, gives no entry. With nothing listed every regime, UNKNOWN too, allows entries at size 1.
    """
    known = {Regime(name): rule for name, rule in listed.items() if name in Regime.__members__}
    if not listed:
        return dict.fromkeys(Regime, ANY)
    rules: dict[Regime, RegimeRule] = {
        regime: known[regime] if regime in known else _nearest(regime, known) for regime in ORDER
    }
    rules[Regime.UNKNOWN] = known.get(Regime.UNKNOWN, NO_ENTRY)
    return rules


def _nearest(regime: Regime, known: Mapping[Regime, RegimeRule]) -> RegimeRule:
    at = ORDER.index(regime)
    ranked = [
        (abs(ORDER.index(other) - at), rule.allow_entry, rule.quantity_mod, place)
        for place, (other, rule) in enumerate(known.items())
        if other in ORDER
    ]
    return list(known.values())[min(ranked)[3]] if ranked else NO_ENTRY
