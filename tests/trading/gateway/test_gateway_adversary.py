"""An adversarial broker: lost, late, doubled and reordered answers, and our own death at any moment."""

from gateway_model import LOT, Wire
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sos_actors.messages import (
    CommandAnswered,
    OrderRole,
    OrderType,
    Outcome,
    Side,
)

PLACES = st.integers(0, 1_000)
PRICES = st.integers(8_000, 12_000).map(lambda paise: paise // 5 * 5)
SECONDS = st.sampled_from([0.1, 0.4, 1.0, 2.5, 7.0, 16.0, 31.0])
REFUSALS = ("UDAPI10005", "UDAPI100050", "UDAPI1026", "UDAPI1037", "UDAPI9999", "")


class Adversary(RuleBasedStateMachine):
    """Anything may happen to a message between us and the broker, and to us; the books must come out right."""

    @initialize()
    def begin(self) -> None:
        self.wire = Wire()
        self.wire.stream(live=True)
        self.wire.settle(1.0)
        self.count = 0
        self.late = []

    def new_id(self, letter: str) -> str:
        self.count += 1
        return f"i{self.count}-{letter}"

    # -- the desk ---------------------------------------------------------------------------------------------------

    @rule(lots=st.integers(1, 6), kind=st.sampled_from([OrderType.MARKET, OrderType.LIMIT]), price=PRICES,
          until=st.sampled_from([None, None, None, 0, 1, 2]))  # fmt: skip
    def enter(self, lots: int, kind: OrderType, price: int, until: int | None) -> None:
        self.wire.submit(self.new_id("e"), OrderRole.ENTRY, Side.BUY, lots, kind, price=price / 100.0, until=until)
        if until is not None:
            self.wire.restart()

    @rule(lots=st.integers(1, 6), trigger=PRICES)
    def protect(self, lots: int, trigger: int) -> None:
        self.wire.submit(
            self.new_id("s"), OrderRole.STOP, Side.SELL, lots, OrderType.STOP, trigger=trigger / 100.0
        )  # fmt: skip

    @rule(lots=st.integers(1, 6))
    def leave(self, lots: int) -> None:
        self.wire.submit(self.new_id("x"), OrderRole.EXIT, Side.SELL, lots)

    def one(self, place: int, role: OrderRole | None = None) -> str | None:
        ids = [
            order_id
            for order_id, record in self.wire.desk.items()
            if not record.ended and (role is None or record.role is role)
        ]
        return ids[place % len(ids)] if ids else None

    @rule(place=PLACES)
    def take_back(self, place: int) -> None:
        order_id = self.one(place)
        if order_id is not None:
            self.wire.cancel(order_id)

    @rule(place=PLACES, trigger=PRICES)
    def move(self, place: int, trigger: int) -> None:
        order_id = self.one(place, OrderRole.STOP)
        if order_id is not None:
            self.wire.modify(order_id, trigger=trigger / 100.0)

    @rule(place=PLACES, lots=st.integers(1, 8))
    def resize(self, place: int, lots: int) -> None:
        order_id = self.one(place, OrderRole.STOP)
        if order_id is not None and lots * LOT > self.wire.desk[order_id].filled:
            self.wire.modify(order_id, quantity=lots * LOT)

    @rule(place=PLACES)
    def convert(self, place: int) -> None:
        order_id = self.one(place, OrderRole.STOP)
        if order_id is not None:
            self.wire.modify(order_id, order_type=OrderType.MARKET)

    # -- commands on their way ----------------------------------------------------------------------------------------

    def next_command(self, place: int):
        return self.wire.waiting.pop(place % len(self.wire.waiting))

    @precondition(lambda self: self.wire.waiting)
    @rule(place=PLACES)
    def carried(self, place: int) -> None:
        self.wire.answer(self.wire.carry(self.next_command(place)))

    @precondition(lambda self: self.wire.waiting)
    @rule(place=PLACES)
    def carried_but_the_answer_is_lost(self, place: int) -> None:
        command = self.next_command(place)
        self.wire.carry(command)
        self.wire.answer(self.wire.unknown(command))

    @precondition(lambda self: self.wire.waiting)
    @rule(place=PLACES)
    def carried_and_never_answered(self, place: int) -> None:
        self.wire.carry(self.next_command(place))

    @precondition(lambda self: self.wire.waiting)
    @rule(place=PLACES)
    def lost_on_the_way(self, place: int) -> None:
        self.wire.answer(self.wire.unknown(self.next_command(place)))

    @precondition(lambda self: self.wire.waiting)
    @rule(place=PLACES)
    def stuck_on_the_way(self, place: int) -> None:
        """The answer is a time-out, and the command arrives at the broker later."""
        command = self.next_command(place)
        self.late.append(command)
        self.wire.answer(self.wire.unknown(command))

    @precondition(lambda self: self.late)
    @rule(place=PLACES)
    def arrives_late(self, place: int) -> None:
        self.wire.carry(self.late.pop(place % len(self.late)))

    @precondition(lambda self: self.wire.waiting)
    @rule(place=PLACES)
    def answered_late(self, place: int) -> None:
        command = self.next_command(place)
        answer = self.wire.carry(command)
        self.wire.wait(2.0)
        self.wire.answer(answer)

    @precondition(lambda self: self.wire.waiting)
    @rule(place=PLACES, code=st.sampled_from(REFUSALS))
    def rejected(self, place: int, code: str) -> None:
        command = self.next_command(place)
        self.wire.answer(CommandAnswered(command.request_id, self.wire.now, Outcome.REJECTED, code=code))

    @precondition(lambda self: self.wire.waiting)
    @rule(place=PLACES)
    def refused(self, place: int) -> None:
        command = self.next_command(place)
        self.wire.answer(CommandAnswered(command.request_id, self.wire.now, Outcome.REFUSED, retry_after_s=0.5))

    # -- what the broker says -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.wire.broker.stream)
    @rule(place=PLACES, keep=st.booleans())
    def said(self, place: int, keep: bool) -> None:
        self.wire.say(place % len(self.wire.broker.stream), keep=keep)

    @precondition(lambda self: self.wire.broker.stream)
    @rule(place=PLACES)
    def never_said(self, place: int) -> None:
        self.wire.broker.stream.pop(place % len(self.wire.broker.stream))

    @precondition(lambda self: self.wire.reads)
    @rule(place=PLACES, ok=st.sampled_from([True, True, True, False]), old=st.booleans())
    def shown(self, place: int, ok: bool, old: bool) -> None:
        self.wire.read(place % len(self.wire.reads), ok=ok, old=old)

    @rule(live=st.booleans())
    def stream(self, live: bool) -> None:
        self.wire.stream(live=live)

    @rule(paise=PRICES)
    def quote(self, paise: int) -> None:
        self.wire.quote(paise / 100.0)

    # -- the exchange -------------------------------------------------------------------------------------------------

    def working(self) -> list[str]:
        return [order.broker_id for order in self.wire.broker.orders.values() if not order.ended]

    @precondition(lambda self: self.working())
    @rule(place=PLACES, lots=st.integers(1, 6), paise=PRICES)
    def filled(self, place: int, lots: int, paise: int) -> None:
        working = self.working()
        self.wire.broker.fill(working[place % len(working)], lots, paise, self.wire.now)

    @precondition(lambda self: self.working())
    @rule(place=PLACES)
    def turned_down(self, place: int) -> None:
        working = self.working()
        self.wire.broker.reject(working[place % len(working)], self.wire.now)

    @rule(side=st.sampled_from(Side), lots=st.integers(1, 3), paise=PRICES)
    def by_hand(self, side: Side, lots: int, paise: int) -> None:
        self.wire.broker.by_hand(side, lots, paise, self.wire.now)

    # -- time and death -----------------------------------------------------------------------------------------------

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.wire.wait(seconds)

    @rule()
    def restart(self) -> None:
        self.wire.restart()

    # -- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def never_two(self) -> None:
        if hasattr(self, "wire"):
            self.wire.check_never_two()

    def teardown(self) -> None:
        if not hasattr(self, "wire"):
            return
        wire = self.wire
        wire.stream(live=True)
        for command in self.late:
            wire.carry(command)
        wire.settle(120.0)
        wire.check_quiet()
        for order_id, paise in wire.paise.items():
            theirs = sum(order.paise for order in wire.at_broker(order_id))
            assert abs(paise - theirs) <= wire.filled(order_id) / 2, "the money told is not the money traded"


TestAdversary = Adversary.TestCase
TestAdversary.settings = settings(
    max_examples=300,
    stateful_step_count=40,
    phases=(Phase.explicit, Phase.generate),  # an example that fails is replayed, not made smaller: that takes hours
    suppress_health_check=list(HealthCheck),
)
