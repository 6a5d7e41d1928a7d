"""What is wanted against what was asked for, and how keys are shared out over connections."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sos_actors.upstox.key_ledger import KeyLedger, Request, allocate

S = 1_000_000_000
KEYS = [f"k{n}" for n in range(12)]
wishes = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["ltpc", "full"]))


class Server:
    """Does what requests say; loses those it is told to."""

    def __init__(self):
        self.subscribed = {}

    def take(self, request: Request):
        for key in request.keys:
            if request.method == "unsub":
                self.subscribed.pop(key, None)
            else:
                self.subscribed[key] = request.mode


@given(st.lists(st.tuples(wishes, st.booleans(), st.integers(0, 3)), min_size=1, max_size=12))
def test_what_the_server_has_becomes_what_is_wanted(steps):
    ledger, server, now = KeyLedger(chunk=4, silent_s=5.0), Server(), 0
    for wanted, reconnects, can_send in steps:
        ledger.want(wanted)
        if reconnects:
            server = Server()
            ledger.connected()
        for request in ledger.due(now, {})[:can_send]:
            assert len(request.keys) <= 4
            server.take(request)
            ledger.sent(request, now)
        now += 1
    while requests := ledger.due(now, {}):
        for request in requests:
            server.take(request)
            ledger.sent(request, now)
    assert server.subscribed == dict(ledger.wanted)


def test_silent_keys_are_asked_for_again_ever_more_rarely():
    ledger = KeyLedger(chunk=100, silent_s=5.0)
    ledger.want({"a": "full", "b": "full"})
    heard, asked = {}, []
    for second in range(60):
        for request in ledger.due(second * S, heard):
            asked.append((second, request.keys))
            ledger.sent(request, second * S)
        heard["a"] = second * S
    assert asked == [(0, ("a", "b")), (5, ("b",)), (15, ("b",)), (35, ("b",))]
    assert ledger.overdue(60 * S, heard) == ["b"]
    heard["b"] = 60 * S
    assert ledger.silent(heard) == []
    ledger.connected()
    assert [r.keys for r in ledger.due(61 * S, heard)] == [("a", "b")]


def test_what_was_heard_before_a_reconnect_is_no_sign_of_life_after_it():
    ledger = KeyLedger(chunk=100, silent_s=5.0)
    ledger.want({"a": "full"})
    ledger.sent(Request("sub", "full", ("a",)), 10 * S)
    assert ledger.silent({"a": 9 * S}) == ["a"]
    assert ledger.overdue(14 * S, {"a": 9 * S}) == []
    assert ledger.overdue(15 * S, {"a": 9 * S}) == ["a"]


modes = st.sampled_from(["ltpc", "option_greeks", "full", "full_d30"])
LIMITS = {"ltpc": (5_000, 2_000), "option_greeks": (3_000, 2_000), "full": (2_000, 1_500), "full_d30": (50, 50)}


@given(st.lists(st.tuples(modes, st.integers(0, 2_500)), max_size=4), st.integers(1, 5), st.booleans())
def test_no_connection_ever_has_more_than_it_may(groups, connections, plus):
    wanted = [(f"{mode}-{g}-{n}", mode) for g, (mode, count) in enumerate(groups) for n in range(count)]
    placed, left = allocate(wanted, [], connections, plus=plus)
    assert len(placed) <= connections
    for keys in placed:
        counts = Counter(keys.values())
        assert all(count <= LIMITS[mode][len(counts) > 1] for mode, count in counts.items())
        assert plus or "full_d30" not in counts
    assert sorted([*left, *(key for keys in placed for key in keys)]) == sorted(key for key, _ in wanted)
    again, left_again = allocate(wanted, placed, connections, plus=plus)
    assert (again, left_again) == (placed, left)  # nothing moves without need


def test_a_key_stays_where_it_was_when_others_go():
    wanted = [(f"k{n}", "full") for n in range(2_001)]
    placed, left = allocate(wanted, [], 2, plus=False)
    assert [len(keys) for keys in placed] == [2_000, 1]
    assert left == []
    fewer, _ = allocate(wanted[1_000:], placed, 2, plus=False)
    assert fewer[1] == {"k2000": "full"}


def test_the_least_important_are_left_out():
    wanted = [(f"k{n}", "full") for n in range(2_010)]
    _, left = allocate(wanted, [], 1, plus=False)
    assert left == [f"k{n}" for n in range(2_000, 2_010)]
