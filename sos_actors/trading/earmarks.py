"""Cash that entries on their way will need."""

from __future__ import annotations

from sos_actors.messages import PositionChanged, Side, TradePlan


class Earmarks:
    """What bought options that were let through will cost, until they are filled. Money in paise.

    Every size is cut to the cash that is free when its signal is given; of several signals given at once, on one
    underlying or on several, each would spend the same cash. What is earmarked is not kept for a restart, which
    settles whatever was on its way before anything is entered.
    """

    def __init__(self) -> None:
        #: The account's cash; None until it is told.
        self.cash_paise: int | None = None
        self._plans: dict[str, TradePlan] = {}
        self._due: dict[str, int] = {}

    def lack(self, plan: TradePlan) -> str:
        """Say in one line what `plan` lacks beside what is on its way; empty where the cash pays for it.

        A turn is not asked: what it closes pays for it.
        """
        cost = _cost(plan)
        if self.cash_paise is None or not cost or not self._due or plan.flip:
            return ""
        spoken_for = sum(self._due.values())
        if cost <= self.cash_paise - spoken_for:
            return ""
        free = f"{self.cash_paise / 100:.0f} free, {spoken_for / 100:.0f} of it for entries on their way"
        return f"{cost / 100:.0f} rupees; {free}"

    def take(self, intent_id: str, plan: TradePlan) -> None:
        """Earmark what an entry that was let through will cost."""
        cost = _cost(plan)
        if cost:
            self._plans[intent_id], self._due[intent_id] = plan, cost

    def on_position(self, change: PositionChanged) -> None:
        """Take the cash that a fill has left; what was filled is paid."""
        self.cash_paise = change.cash_paise
        for intent_id, plan in self._plans.items() if change.quantity else ():
            if (plan.strategy, plan.instrument) == (change.strategy, change.instrument):
                missing = max(plan.quantity - change.quantity, 0)
                self._due[intent_id] = min(self._due[intent_id], _cost(plan) * missing // plan.quantity)

    def drop(self, intent_id: str) -> None:
        """Free what was earmarked for an entry that has ended."""
        self._plans.pop(intent_id, None)
        self._due.pop(intent_id, None)


def _cost(plan: TradePlan) -> int:
    return round(plan.entry * plan.quantity * 100) if plan.right is not None and plan.side is Side.BUY else 0
