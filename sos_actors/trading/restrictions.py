"""Who may not do everything: halts and pauses of the account, of a strategy, of an underlying."""

from __future__ import annotations

from collections.abc import Iterable

from sos_actors.messages import SetTradingState, TradingState

_SEVERITY = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


class Restrictions:
    """The trading states that are not ACTIVE, in the order in which they were set.

    `scopes` has them by (strategy, underlying); both names empty is the whole account.
    """

    __slots__ = ("scopes",)

    def __init__(self, states: Iterable[tuple[str, str, TradingState]] = ()) -> None:
        self.scopes = {(strategy, underlying): state for strategy, underlying, state in states}

    def change(self, change: SetTradingState) -> None:
        """Set or lift one, for the account, a strategy, an underlying, or one strategy on one underlying.

        A strategy that becomes ACTIVE does so on every underlying.
        """
        scope = (change.strategy, change.underlying)
        if change.state is TradingState.ACTIVE:
            everywhere = bool(change.strategy) and not change.underlying
            for known in list(self.scopes):
                if known == scope or (everywhere and known[0] == change.strategy):
                    del self.scopes[known]
        else:
            self.scopes[scope] = change.state

    def listed(self) -> list[tuple[str, str, TradingState]]:
        """Give them as (strategy, underlying, state)."""
        return [(*scope, state) for scope, state in self.scopes.items()]

    def strictest(self, strategy: str, underlying: str) -> TradingState:
        """Give the strictest of the account's, the strategy's and the underlying's state."""
        found = (
            self.scopes.get(scope, TradingState.ACTIVE)
            for scope in (("", ""), (strategy, ""), ("", underlying), (strategy, underlying))
        )
        return max(found, key=_SEVERITY.__getitem__)

    def banned(self) -> list[tuple[str, str]]:
        """Give the scopes in which nothing may be held: halted ones, and those of a strategy that was benched."""
        return [scope for scope, state in self.scopes.items() if state is TradingState.HALTED or all(scope)]
