"""States of desk and limits are kept on paper too, a file a day."""

import datetime as dt

import msgspec

from sos_actors.actors.risk import RiskActor
from sos_actors.actors.state_keeper import StateKeeperActor
from sos_actors.messages import Phase, SessionPhase, SetTradingState, StateChanged, TradingState
from sos_actors.runtime import SimRuntime
from sos_actors.storage.order_store import OrderStore
from sos_actors.trading.gateway.records import DayBegun
from sos_actors.trading.limits import RiskBook
from sos_actors.trading.risk_settings import RiskSettings, RiskState

DAY = dt.date(2026, 11, 20)


def keep(folder, *days, day=None):
    runtime = SimRuntime(strict=True)
    store = OrderStore(folder)
    runtime.spawn(StateKeeperActor, "states", store, day=day)
    runtime.publish(StateChanged(1, "desk", b"before any day"))
    for number, one in enumerate(days):
        runtime.publish(SessionPhase(2, one, Phase.PRE_OPEN))
        runtime.publish(SessionPhase(3, one, Phase.OPEN))
        runtime.publish(StateChanged(4, "desk", f"state {number}".encode(), ("o1",)))
    runtime.drain()
    runtime.close()
    store.close()


def test_the_last_state_is_found_again(tmp_path):
    keep(tmp_path, DAY)
    ((found,),) = OrderStore(tmp_path).recovery.states.values()
    assert (found.part, found.state, found.working) == ("desk", b"state 0", ("o1",))


def test_a_restart_on_the_same_day_goes_on_in_its_file(tmp_path):
    keep(tmp_path, DAY)
    keep(tmp_path, DAY, day=DAY)
    assert [path.name for path in tmp_path.iterdir()] == ["orders-2026-11-20.log"]


class Synced(OrderStore):
    """Notes what was appended before each sync."""

    def __init__(self, folder):
        self.said = []
        super().__init__(folder)

    def append(self, record):
        self.said.append(getattr(record, "part", "day"))
        super().append(record)

    def sync(self):
        self.said.append("sync")
        super().sync()


def test_what_the_risk_book_says_is_safe_at_once_so_that_a_halt_survives_the_power(tmp_path):
    runtime, store = SimRuntime(strict=True), Synced(tmp_path)
    runtime.spawn(StateKeeperActor, "states", store, day=None)
    runtime.publish(SessionPhase(2, DAY, Phase.OPEN))
    runtime.publish(StateChanged(3, "desk", b"held"))
    runtime.publish(StateChanged(4, "risk", b"halted"))
    runtime.drain()
    assert store.said == ["day", "desk", "risk", "sync"]
    runtime.close()
    store.close()


def test_a_halt_is_kept_on_paper_from_the_operators_word_to_the_next_life(tmp_path):
    runtime, store = SimRuntime(), Synced(tmp_path)
    runtime.spawn(StateKeeperActor, "states", store, day=DAY)
    runtime.publish(SessionPhase(2, DAY, Phase.OPEN))
    runtime.spawn(RiskActor, "risk", RiskBook(RiskSettings()), ("NIFTY",), durable=True)
    store.append(DayBegun(DAY))
    runtime.publish(SetTradingState(TradingState.HALTED, "the operator"))
    runtime.drain()
    assert store.said[-2:] == ["risk", "sync"]
    again = RiskBook(RiskSettings())
    again.take_up(msgspec.msgpack.decode(OrderStore(tmp_path).recovery.states["risk"][-1].state, type=RiskState))
    assert again.trading_state() is TradingState.HALTED
    runtime.close()
    store.close()


def test_each_day_has_its_file(tmp_path):
    keep(tmp_path, DAY, DAY + dt.timedelta(days=3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders-2026-11-20.log", "orders-2026-11-23.log"]
    assert OrderStore(tmp_path).recovery.states["desk"][-1].state == b"state 1"


def test_what_comes_before_the_first_day_is_kept_with_it_and_what_changed_since_after_it(tmp_path):
    runtime = SimRuntime(strict=True)
    store = OrderStore(tmp_path)
    runtime.spawn(StateKeeperActor, "states", store, day=None)
    runtime.publish(StateChanged(1, "desk", b"whole"))
    runtime.publish(SessionPhase(2, DAY, Phase.PRE_OPEN))
    runtime.publish(StateChanged(3, "desk", b"change", ("o1",), whole=False))
    runtime.drain()
    runtime.close()
    store.close()
    found = OrderStore(tmp_path).recovery.states["desk"]
    assert [(saved.state, saved.working, saved.whole) for saved in found] == [
        (b"whole", (), True),
        (b"change", ("o1",), False),
    ]
