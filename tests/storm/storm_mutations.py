"""Bugs one might really write, each planted from outside the package: the storm must find every one."""

import msgspec

from sos_actors.actors import gateway as gateway_actor
from sos_actors.messages import CommandAnswered, OrderStatus, OrderUpdate, Outcome
from sos_actors.storm import session
from sos_actors.trading import stops
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.exits import ExitPlan
from sos_actors.trading.gateway.gateway import OrderGateway
from sos_actors.trading.gateway.settings import Contract
from sos_actors.trading.gateway.telling import Teller
from sos_actors.trading.limits import RiskBook
from sos_actors.trading.order_machine import OrderRecord


def send_again_on_time_out(patch):
    real = OrderGateway.on_answer

    def on_answer(self, answer: CommandAnswered, now):
        if answer.outcome is Outcome.UNKNOWN:
            answer = msgspec.structs.replace(answer, outcome=Outcome.REFUSED)
        return real(self, answer, now)

    patch.setattr(OrderGateway, "on_answer", on_answer)


def ignore_a_partial_fill(patch):
    real = Teller.tell_fills

    def tell_fills(self, child):
        if child.told < child.filled < child.quantity:
            child.told = child.filled
        return real(self, child)

    patch.setattr(Teller, "tell_fills", tell_fills)


def forget_exposure_in_flight(patch):
    patch.setattr(RiskBook, "on_intent", lambda self, intent: None)


def apply_a_duplicate_fill_twice(patch):
    real = OrderDesk.on_fill

    def on_fill(self, fill):
        self.ledger.seen.clear()
        record = self.flow.records.get(fill.order_id)
        if record is not None:
            record.fill_ids.clear()
        return real(self, fill)

    patch.setattr(OrderDesk, "on_fill", on_fill)


def take_the_first_absent_reads_as_absence(patch):
    real = session._config

    def config(end):
        found = real(end)
        hasty = msgspec.structs.replace(found.gateway, absent_reads=2, absent_s=1.0, doubt_read_s=0.3)
        return msgspec.structs.replace(found, gateway=hasty)

    patch.setattr(session, "_config", config)


def exit_without_waiting_for_the_cancel(patch):
    real_config, real = session._config, OrderGateway.cancel

    def config(end):
        found = real_config(end)
        return msgspec.structs.replace(found, orders=msgspec.structs.replace(found.orders, exit_by_stop=False))

    def cancel(self, wish, now):
        return [*real(self, wish, now), OrderUpdate(wish.order_id, now, OrderStatus.CANCELLED)]

    patch.setattr(session, "_config", config)
    patch.setattr(OrderGateway, "cancel", cancel)


def send_without_a_sync(patch):
    patch.setattr(gateway_actor, "SendPlace", type("Nothing", (), {}))


def lose_saved_states(patch):
    patch.setattr(gateway_actor.GatewayActor, "on_state_changed", lambda self, message: None)


def lose_what_changed_since_the_whole_state(patch):
    real = gateway_actor.GatewayActor.on_state_changed

    def on_state_changed(self, message):
        if message.whole:
            real(self, message)

    patch.setattr(gateway_actor.GatewayActor, "on_state_changed", on_state_changed)


def forget_the_halt_at_a_restart(patch):
    real = RiskBook.take_up

    def take_up(self, state):
        real(self, state)
        self._restrictions.scopes.clear()

    patch.setattr(RiskBook, "take_up", take_up)


def forget_the_freeze_quantity(patch):
    patch.setattr(Contract, "largest", property(lambda self: 1 << 40))


def never_grow_the_stop(patch):
    real = OrderGateway.modify

    def modify(self, wish, now):
        return real(self, msgspec.structs.replace(wish, quantity=0), now)

    patch.setattr(OrderGateway, "modify", modify)


def believe_the_stream_alone(patch):
    real = OrderGateway.on_orders

    def on_orders(self, message, now):
        return real(self, msgspec.structs.replace(message, orders=()), now)

    patch.setattr(OrderGateway, "on_orders", on_orders)


def forget_the_square_off(patch):
    patch.setattr(ExitPlan, "on_time", lambda self, ts: ())


def enter_at_any_time(patch):
    patch.setattr(RiskBook, "_time_breach", lambda self, plan, now: None)


def charge_a_cut_order_once(patch):
    real = OrderDesk.on_fill
    patch.setattr(
        OrderDesk, "on_fill", lambda self, fill: real(self, msgspec.structs.replace(fill, first_of_slice=False))
    )


def watch_a_lost_stop_and_never_rest_it_again(patch):
    real = stops.take_due
    patch.setattr(stops, "take_due", lambda trades, ts: real(trades, ts)[:0])


def try_a_refused_stop_for_ever(patch):
    def failed(trade, exits, stop, ts, settings):
        exits.watch_stop, trade.stop_due = True, ts + 2_000_000_000
        return False

    patch.setattr(stops, "failed", failed)


def rest_a_second_stop_while_the_first_is_in_doubt(patch):
    real = OrderDesk.on_update

    def on_update(self, update):
        if update.status is OrderStatus.UNKNOWN and update.order_id.rpartition("-")[2].startswith("s"):
            update = msgspec.structs.replace(update, status=OrderStatus.CANCELLED)
        return real(self, update)

    patch.setattr(OrderDesk, "on_update", on_update)


def believe_the_last_of_two_growths(patch):
    def resize(self, quantity):
        self.quantity_before, self.quantity = self.quantity, quantity

    patch.setattr(OrderRecord, "resize", resize)


#: Bug -> the promises of which one must be seen broken.
MUTATIONS = (
    send_again_on_time_out,
    ignore_a_partial_fill,
    forget_exposure_in_flight,
    apply_a_duplicate_fill_twice,
    take_the_first_absent_reads_as_absence,
    exit_without_waiting_for_the_cancel,
    send_without_a_sync,
    lose_saved_states,
    lose_what_changed_since_the_whole_state,
    forget_the_halt_at_a_restart,
    forget_the_freeze_quantity,
    never_grow_the_stop,
    believe_the_stream_alone,
    forget_the_square_off,
    enter_at_any_time,
    charge_a_cut_order_once,
    watch_a_lost_stop_and_never_rest_it_again,
    try_a_refused_stop_for_ever,
    rest_a_second_stop_while_the_first_is_in_doubt,
    believe_the_last_of_two_growths,
)

#: Seed at which to begin, for a bug that few seeds find; the other seeds follow.
BEGIN = {believe_the_last_of_two_growths: 176, forget_the_halt_at_a_restart: 26, try_a_refused_stop_for_ever: 14}
