"""What must hold whatever goes wrong: every sentence, and the code that checks it. The exchange's books are the judge.

Each check has its sentence as its docstring; what is found is a line that begins with the check's name.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sos_actors.market.clocktime import SECOND_NS, ist_text
from sos_actors.messages import OrderRole, SendCancel, SendModify, SendPlace, Side
from sos_actors.runtime.dead_letters import DeadLetters
from sos_actors.sandbox.exchange.books import Books, OrderView
from sos_actors.storm.store import Disk
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.gateway.gateway import GatewayView
from sos_actors.trading.limits import RiskBook

#: How long a position may be without a working order that closes it, while our process is up: five placings lost in a
#: row, for it takes some 23 s of reads before a lost one is known not to be there.
GRACE_NS = 120 * SECOND_NS


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a session may do. Times UTC ns. Entries leave before `last_entry_ns` or not at all."""

    open_ns: int
    last_entry_ns: int
    largest: int
    open_positions: int


class Judge:
    """Watches one session. `found` are the violations, in order; one of each kind is enough to fail."""

    def __init__(self, rules: Rules, books: Books, disk: Disk) -> None:
        self._rules, self._books, self._disk = rules, books, disk
        self.found: list[str] = []
        self.now = 0
        self.halted_at = 0
        self._bare_since: dict[str, int] = {}
        self._looked = 0
        self.checks = 0

    def _say(self, name: str, text: str) -> None:
        self.found.append(f"{name}: {text} ({ist_text(self.now)})")

    # -- what leaves -------------------------------------------------------------------------------------------------

    def sent(self, message: SendPlace | SendModify | SendCancel) -> None:
        """Look at a command the moment it leaves our process."""
        self.checks += 1
        if not isinstance(message, SendPlace):
            return
        self._kept_before_sent(message)
        if message.side is Side.BUY:
            self._no_entry_when_halted(message)
            self._no_entry_outside_the_session(message)
        if message.quantity > self._rules.largest and not message.slice:
            self._say("within_the_freeze_quantity", f"{message.quantity} in one order: the exchange takes it not")

    def _kept_before_sent(self, message: SendPlace) -> None:
        """No placing leaves whose record is not safe on the disk."""
        if message.tag not in self._disk.kept:
            self._say("kept_before_sent", f"{message.tag} left without a record that survives")

    def _no_entry_when_halted(self, message: SendPlace) -> None:
        """Once the account is halted, no entry leaves, in this life of the process or a later one."""
        if self.halted_at:
            self._say("no_entry_when_halted", f"{message.tag}: halted since {ist_text(self.halted_at)}")

    def _no_entry_outside_the_session(self, message: SendPlace) -> None:
        """No entry leaves before the session opens or after the time of the last entry."""
        if not self._rules.open_ns <= self.now <= self._rules.last_entry_ns:
            self._say("no_entry_outside_the_session", message.tag)

    # -- what reaches the exchange -------------------------------------------------------------------------------------

    def placing(self, message: SendPlace) -> None:
        """Look at a placing that has reached the broker, before it is worked on."""
        if self._books.orders(message.tag):
            self._say("placed_once", f"{message.tag} is placed again")

    def placed(self, message: SendPlace) -> None:
        """Look at the books once a placing was worked on."""
        order_id = self._disk.order_of.get(message.tag)
        if order_id is None:
            return
        orders = self._books.orders()
        if message.side is Side.SELL:
            self._no_exit_beyond_what_is_held(message, orders)
            return
        self._one_entry_an_intent(order_id, orders)
        self._limits_count_what_is_in_flight(orders)

    def _one_entry_an_intent(self, order_id: str, orders: tuple[OrderView, ...]) -> None:
        """Of one intent, what is bought and what is still asked for is never more than the plan."""
        wanted = self._disk.orders[order_id]
        asked = sum(
            one.quantity if one.live else one.filled
            for one in orders
            if one.side is Side.BUY and self._disk.order_of.get(one.tag) == order_id
        )
        if asked > wanted.quantity:
            self._say("one_entry_an_intent", f"{order_id}: {asked} bought or asked for, {wanted.quantity} planned")

    def _no_exit_beyond_what_is_held(self, message: SendPlace, orders: tuple[OrderView, ...]) -> None:
        """The orders that sell a contract are never more than what is held of it: two exits would be a new position."""
        selling = sum(
            one.quantity - one.filled
            for one in orders
            if one.live and one.side is Side.SELL and one.instrument == message.instrument
        )
        held = self._books.net().get(message.instrument, 0)
        if selling > held:
            self._say("no_exit_beyond_what_is_held", f"{message.instrument}: {held} held, {selling} for sale")

    def _limits_count_what_is_in_flight(self, orders: tuple[OrderView, ...]) -> None:
        """Intents with units held or an entry at the exchange are never more than the limit of open positions."""
        units: dict[str, int] = {}
        live: set[str] = set()
        for one in orders:
            submit = self._disk.orders.get(self._disk.order_of.get(one.tag, ""))
            if submit is None:
                continue
            units[submit.intent_id] = units.get(submit.intent_id, 0) + one.side.sign * one.filled
            if one.live and submit.role is OrderRole.ENTRY:
                live.add(submit.intent_id)
        count = len(live | {intent for intent, held in units.items() if held})
        if count > self._rules.open_positions:
            self._say("limits_count_what_is_in_flight", f"{count} open, {self._rules.open_positions} allowed")

    # -- after each step ---------------------------------------------------------------------------------------------

    def step(self, *, up: bool) -> None:
        """Look at the books after something happened; `up`: our process is there and can act."""
        self.checks += 1
        self._never_short()
        if self._bare_since or self.now - self._looked >= 2 * SECOND_NS or self.now < self._looked:
            self._looked = self.now
            self._every_position_is_protected(up=up)

    def _never_short(self) -> None:
        """Nothing is ever sold that was not bought: what is held of a contract is never below zero."""
        for instrument, units in self._books.net().items():
            if units < 0:
                self._say("never_short", f"{units} of {instrument}")

    def _every_position_is_protected(self, *, up: bool) -> None:
        """Every unit held has a working order at the exchange that closes it: its stop, or the exit that it became.

        But for the time it takes to find out that one never came and to send another (`GRACE_NS`), and while our
        process is not there. That the desk watches a level itself counts for nothing.
        """
        held = self._books.net()
        if not held:
            self._bare_since.clear()
            return
        closing: dict[str, int] = {}
        for one in self._books.orders():
            if one.live and one.side is Side.SELL:
                closing[one.instrument] = closing.get(one.instrument, 0) + one.quantity - one.filled
        for instrument in tuple(self._bare_since):
            if instrument not in held:
                del self._bare_since[instrument]
        for instrument, units in held.items():
            if closing.get(instrument, 0) >= units or not up:
                self._bare_since.pop(instrument, None)
                continue
            since = self._bare_since.setdefault(instrument, self.now)
            if self.now - since > GRACE_NS:
                bare = units - closing.get(instrument, 0)
                self._say("every_position_is_protected", f"{bare} of {instrument} since {ist_text(since)}")
                self._bare_since[instrument] = self.now

    def excuse(self) -> None:
        """Begin the time a position may be bare anew: our process has just come back."""
        self._bare_since.clear()

    # -- at the end ----------------------------------------------------------------------------------------------------

    def end(self, desk: OrderDesk, view: GatewayView, book: RiskBook) -> None:
        """Look at everything once all is quiet."""
        for name, texts in (
            ("flat_by_square_off", self._flat_by_square_off()),
            ("positions_equal", self._positions_equal(desk, view)),
            ("money_equal", self._money_equal(desk)),
            ("nothing_counted_for_ever", self._nothing_counted_for_ever(book)),
            ("audit_clean", iter(self._books.audit())),
        ):
            for text in texts:
                self._say(name, text)

    def _flat_by_square_off(self) -> Iterator[str]:
        """After the square-off nothing is held and nothing works."""
        for instrument, units in self._books.net().items():
            yield f"{units} of {instrument} are held still"
        for tag, count in self._books.live_by_tag().items():
            yield f"{count} orders of {tag} work still"

    def _positions_equal(self, desk: OrderDesk, view: GatewayView) -> Iterator[str]:
        """Once quiet, the desk, the gateway and the exchange hold the same, and the gateway knows of no difference."""
        theirs = self._books.net()
        ours: dict[str, int] = {}
        for (_, instrument), units in desk.ledger.positions().items():
            ours[instrument] = ours.get(instrument, 0) + units
        for name, held in (("desk", ours), ("gateway", view.positions)):
            if {key: units for key, units in held.items() if units} != theirs:
                yield f"{name} {held}, exchange {theirs}"
        yield from view.differences

    def _nothing_counted_for_ever(self, book: RiskBook) -> Iterator[str]:
        """Once all is flat, no limit counts anything as held or on its way: or its strategy would trade no more."""
        yield from book.counted()

    def _money_equal(self, desk: OrderDesk) -> Iterator[str]:
        """Once quiet, our cash is the starting cash, all fills and all charges, and the exchange's: fills to the paisa.

        Charges may differ by a paisa an execution: the broker's updates join executions, and each sum is rounded.
        """
        ledger, books = desk.ledger, self._books
        value = sum(-one.side.sign * one.quantity * one.price for one in books.executions())
        ours = ledger.cash_paise + ledger.charges_paise - ledger.start_paise
        if ours != value:
            yield f"fills come to {ours} paise here and to {value} at the exchange"
        if ledger.cash_paise != ledger.start_paise + ours - ledger.charges_paise:
            yield "our cash is not the starting cash, the fills and the charges"
        if abs(ledger.charges_paise - books.charges) > len(books.executions()):
            yield f"charges are {ledger.charges_paise} paise here and {books.charges} at the exchange"

    def nothing_dropped(self, letters: DeadLetters, expected: int) -> None:
        """Every message that was not handled is a dead letter, and the storm's crashes explain each of them."""
        if len(letters) > expected:
            kinds = [f"{path} {kind} {reason}" for path, kind, reason in letters.counts]
            self._say("nothing_dropped", f"{len(letters)} dead letters, {expected} explained: {'; '.join(kinds)}")
