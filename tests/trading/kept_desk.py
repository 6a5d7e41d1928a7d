"""A desk whose state is kept after every event, as the order actor has it kept, and read again at once."""

from __future__ import annotations

from sos_actors.trading.checkpoint import Checkpointer, checkpoint, restore
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.ledger import Ledger


class KeptDesk(OrderDesk):
    """After each event: what was kept up to here is all there is to know."""

    def __init__(self, settings, ledger, exits=None) -> None:
        super().__init__(settings, ledger, exits)
        self._checkpoints = Checkpointer(self)
        self.saved = []
        self.keep()

    def keep(self, *, whole=False) -> None:
        """Keep the state, and compare what is read again with what is."""
        raw, was_whole = self._checkpoints.save(whole=whole, moved=True)
        self.saved = [raw] if was_whole else [*self.saved, raw]
        again = OrderDesk(self.flow.settings, Ledger(0))
        restore(again, self.saved)
        assert checkpoint(again) == checkpoint(self)

    def end_of_day(self) -> None:
        super().end_of_day()
        self.keep(whole=True)


def _kept(name):
    event = getattr(OrderDesk, name)

    def handle(self, *args, **kwargs):
        out = event(self, *args, **kwargs)
        self.keep()
        return out

    return handle


for _name in (
    "on_intent", "on_bar", "on_tick", "on_minute", "start_of_day", "flatten", "settle", "on_update", "on_fill",
):  # fmt: skip
    setattr(KeptDesk, _name, _kept(_name))
