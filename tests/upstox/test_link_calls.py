"""What waits for a thread: exits first, one order's calls one after the other, a thread kept for exits."""

import threading
from collections import Counter

from feed_server import wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.upstox.calls import CallQueue, Workers

puts = st.tuples(st.just("put"), st.sampled_from("abcde"), st.booleans())
steps = st.lists(
    st.one_of(puts, st.tuples(st.just("take"), st.booleans()), st.tuples(st.just("done"), st.integers(0, 9)))
)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_each_call_goes_once_in_its_keys_order_and_one_key_runs_once(script):
    queue, put, taken, running = CallQueue(), [], [], []
    for step in script:
        if step[0] == "put":
            put.append((step[1], len(put), step[2]))
            queue.put(step[1], put[-1], urgent=step[2])
        elif step[0] == "take":
            waiting = [one for one in put if one not in taken]
            ready = [one for one in waiting if one[0] not in running]
            found = queue.take(urgent_only=step[1])
            if found is None:
                assert not [one for one in ready if one[2] or not step[1]]
                continue
            key, call = found
            assert key not in running
            if any(one[2] for one in ready):  # somebody urgent could go: then it, or what stands before it
                assert any(one[0] == key and one[2] for one in ready)
            else:
                assert not step[1]
            running.append(key)
            taken.append(call)
        elif running:
            queue.done(running.pop(step[1] % len(running)))
    for key in "abcde":
        numbers = [number for name, number, _ in taken if name == key]
        assert numbers == sorted(numbers)
    assert len(queue) == len(put) - len(taken)
    assert sorted([*taken, *queue.clear()]) == sorted(put)
    assert queue.take() is None


def test_a_thread_is_kept_for_exits():
    hold, seen = threading.Event(), []

    def work(call):
        seen.append(call)
        if call.startswith("slow"):
            hold.wait(20)

    workers = Workers("test", 3, work, reserved=True)
    try:
        for n in range(6):
            workers.put(f"k{n}", f"slow {n}")
        wait_for(lambda: len(seen) == 2)  # the third thread is not theirs
        workers.put("exit", "exit", urgent=True)
        wait_for(lambda: "exit" in seen)
        assert len(seen) == 3
        assert workers.waiting == 4
    finally:
        hold.set()
        workers.stop()
    assert workers.join(20)


def test_a_call_that_raises_takes_neither_its_thread_nor_its_key_with_it():
    done = Counter()

    def work(call):
        done[call] += 1
        raise RuntimeError(call)

    workers = Workers("test", 2, work)
    for _ in range(10):
        workers.put("key", "again")
    wait_for(lambda: done["again"] == 10)
    assert workers.stop() == []
    assert workers.join(20)


def test_what_waits_at_the_end_is_given_back_and_nothing_more_is_taken():
    hold, seen = threading.Event(), []

    def work(call):
        seen.append(call)
        hold.wait(20)

    workers = Workers("test", 1, work)
    workers.put("a", 1)
    wait_for(lambda: seen)
    workers.put("a", 2)
    workers.put("b", 3)
    assert sorted(workers.stop()) == [2, 3]
    assert not workers.put("c", 4)
    hold.set()
    assert workers.join(20)
    assert seen == [1]
