"""States of desk and limits are kept on paper too, a file a day."""

import datetime as dt

from sos_actors.actors.state_keeper import StateKeeperActor
from sos_actors.messages import Phase, SessionPhase, StateChanged
from sos_actors.runtime import SimRuntime
from sos_actors.storage.order_store import OrderStore

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
