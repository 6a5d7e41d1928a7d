"""The market feed: every tick to whoever subscribed, in frames, and what can happen to a tick on its way."""

from __future__ import annotations

import copy
import heapq

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.sandbox.quote import Quote
from sos_actors.sandbox.server import codec
from sos_actors.sandbox.server.feed_client import FeedClient
from sos_actors.sandbox.server.outlet import Outlet
from sos_actors.sandbox.server.sessions import segment_statuses
from sos_actors.sandbox.server.world import World

#: Keys in one frame of a snapshot.
_SNAPSHOT = 100
#: Sandbox seconds between looks at the sessions.
_LOOK_NS = SECOND_NS


class MarketFeed:
    """All open connections of the market feed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.clients: dict[FeedClient, Outlet] = {}
        self._readers: dict[str, dict[FeedClient, None]] = {}
        self._late: list[tuple[int, int, str, dict[str, bytes]]] = []
        self._count = 0
        self._statuses: dict[str, str] = {}
        self._looked = 0
        self.stale_until = 0
        self.ticks = 0

    def join(self, client: FeedClient, outlet: Outlet, now_ns: int) -> None:
        """Let a connection in: it is told the market's state at once."""
        self.clients[client] = outlet
        self._look(now_ns, force=True)
        outlet.send(codec.info_frame(self._statuses, now_ns))

    def leave(self, client: FeedClient) -> None:
        """Forget a connection."""
        self.clients.pop(client, None)
        for key in client.modes:
            self._readers.get(key, {}).pop(client, None)

    def take(self, client: FeedClient, raw: bytes, now_ns: int) -> None:
        """Carry out a client's request; keys that were subscribed get a snapshot."""
        before = set(client.modes)
        fresh = client.take(raw, lambda key: self._world.quote(key) is not None)
        for key in sorted(before - set(client.modes)):
            self._readers.get(key, {}).pop(client, None)
        for key in fresh:
            self._readers.setdefault(key, {})[client] = None
        outlet = self.clients[client]
        if now_ns >= self.stale_until:
            for first in range(0, len(fresh), _SNAPSHOT):
                part = [(key, self._world.listed(key)) for key in fresh[first : first + _SNAPSHOT]]
                entries = [codec.entry(quote, client.modes[key], self._world.greeks) for key, quote in part]
                outlet.send(codec.snapshot_frame(entries, now_ns))

    def publish(self, quote: Quote) -> None:
        """Put a tick into the frames of whoever reads its instrument."""
        self.ticks += 1
        key = quote.instrument.upstox_key
        readers = self._readers.get(key)
        if not readers:
            return
        now_ns, dice, copies = self._world.now_ns, self._world.dice, 1
        if now_ns < self.stale_until:
            return
        if dice.touches_ticks:
            if dice.hit("drop_tick"):
                return
            copies += dice.hit("duplicate_tick")
            quote = self._disturbed(quote)
            if dice.hit("late_tick"):
                self._hold(quote, readers, now_ns + int(dice.menu.late_tick_s * SECOND_NS))
                return
        for client in readers:
            entry = codec.entry(quote, client.modes[key], self._world.greeks)
            for _ in range(copies):
                self._put(client, key, entry, now_ns)

    def flush(self, now_ns: int) -> None:
        """Send the frames under way; tell a change of the sessions."""
        while self._late and self._late[0][0] <= now_ns:
            _, _, key, entries = heapq.heappop(self._late)
            for client in self._readers.get(key, ()):
                entry = entries.get(client.modes[key])
                if entry is not None:
                    self._put(client, key, entry, now_ns)
        for client, outlet in self.clients.items():
            entries_ready = client.flush()
            if entries_ready is not None:
                outlet.send(codec.live_frame((entries_ready,), now_ns))
        if self._look(now_ns):
            for outlet in self.clients.values():
                outlet.send(codec.info_frame(self._statuses, now_ns))

    def refresh(self, now_ns: int) -> None:
        """Send everybody a snapshot of all they read, after a jump in time."""
        for client, outlet in self.clients.items():
            quotes = [(mode, self._world.quote(key)) for key, mode in client.modes.items()]
            entries = [codec.entry(quote, mode, self._world.greeks) for mode, quote in quotes if quote is not None]
            for first in range(0, len(entries), _SNAPSHOT):
                outlet.send(codec.snapshot_frame(entries[first : first + _SNAPSHOT], now_ns))

    def _put(self, client: FeedClient, key: str, entry: bytes, now_ns: int) -> None:
        full = client.collect(key, entry)
        if full is not None:
            self.clients[client].send(codec.live_frame((full,), now_ns))

    def _hold(self, quote: Quote, readers: dict[FeedClient, None], due: int) -> None:
        key = quote.instrument.upstox_key
        modes = dict.fromkeys(client.modes[key] for client in readers)
        self._count += 1
        entries = {mode: codec.entry(quote, mode, self._world.greeks) for mode in modes}
        heapq.heappush(self._late, (due, self._count, key, entries))

    def _disturbed(self, quote: Quote) -> Quote:
        """Give the quote as faults show it."""
        dice = self._world.dice
        crossed, zero = dice.hit("crossed_quote"), dice.hit("zero_quote")
        if not crossed and not zero:
            return quote
        shown = copy.copy(quote)
        shown.encoded = {}
        shown.bid, shown.ask = (0.0, 0.0) if zero else (quote.ask, quote.bid)
        return shown

    def _look(self, now_ns: int, *, force: bool = False) -> bool:
        """Look at the sessions now and then; tells whether a status changed."""
        if not force and now_ns - self._looked < _LOOK_NS:
            return False
        self._looked = now_ns
        statuses = segment_statuses(self._world.days.schedule.calendar, now_ns)
        changed = statuses != self._statuses
        self._statuses = statuses
        return changed
