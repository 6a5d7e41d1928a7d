"""Whatever is asked of the exchange and whatever the market does: its books stay in order."""

from exchange_helpers import CALL, PUT, Venue, with_settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sos_actors.sandbox.exchange import FAULTS, Chance, EventKind, FaultMenu
from sos_actors.sandbox.exchange.orders import FINAL

CONTRACTS = st.sampled_from([CALL, PUT])
TICKS = st.integers(min_value=-8, max_value=8)
LOTS = st.integers(min_value=1, max_value=30)
SIDES = st.sampled_from(["BUY", "SELL"])

#: Milliseconds from Friday to Monday, when the contracts expire.
WEEKEND = 3 * 86_400_000

QUOTES = st.tuples(st.just("quote"), CONTRACTS, TICKS, st.integers(0, 3), st.integers(0, 2000), st.integers(0, 2000))
PLACES = st.tuples(
    st.just("place"),
    CONTRACTS,
    SIDES,
    LOTS,
    TICKS,
    st.sampled_from(["LIMIT", "MARKET", "SL", "SL-M"]),
    st.sampled_from(["DAY", "DAY", "IOC"]),
    st.sampled_from(["I", "D"]),
    st.booleans(),
)
MODIFIES = st.tuples(st.just("modify"), st.integers(0, 50), LOTS, TICKS, st.sampled_from(["LIMIT", "MARKET", "SL"]))
CANCELS = st.tuples(st.just("cancel"), st.integers(0, 50))
WAITS = st.tuples(st.just("wait"), st.sampled_from([1, 5, 20, 100, 100, 1000]))
OTHERS = st.one_of(
    st.tuples(st.sampled_from(["exit", "cancel_all", "halt", "restart"])),
    st.tuples(st.just("wait"), st.sampled_from([20_000, 20_000, 20_000, 20_000, 3_600_000, WEEKEND])),
)
COMMANDS = st.lists(
    st.one_of(QUOTES, QUOTES, PLACES, PLACES, MODIFIES, CANCELS, WAITS, WAITS, WAITS, OTHERS), min_size=20, max_size=80
)
MENUS = st.builds(
    lambda names: FaultMenu(**dict.fromkeys(names, Chance(probability=0.3))),
    st.lists(st.sampled_from([name for name in FAULTS if name != "restart"]), unique=True, max_size=6),
)
#: Money enough, so that it is seldom margin that ends an order.
RICH = {"account": {"cash": 1e8}}


def price(ticks):
    return round(100.0 + 0.05 * ticks, 2)


def place(venue, contract, side, lots, ticks, kind, validity, product, sliced):
    sign = 1 if side == "BUY" else -1
    limit = price(ticks) if kind in {"LIMIT", "SL"} else 0
    trigger = round((limit or price(ticks)) - sign * 0.1, 2) if kind in {"SL", "SL-M"} else 0
    venue.send(
        contract,
        transaction_type=side,
        quantity=65 * lots,
        price=limit,
        trigger_price=trigger,
        order_type=kind,
        validity=validity,
        product=product,
        slice=sliced,
        market_protection=-1 if kind in {"MARKET", "SL-M"} else 0,
    )


def perform(venue, command):
    exchange = venue.exchange
    orders = exchange.books.orders()
    match command:
        case ("quote", contract, ticks, spread, size, traded):
            middle = price(ticks)
            ask = round(middle + 0.05 * spread, 2)
            venue.quote(contract, bid=middle, bid_qty=size, ask=ask, ask_qty=size, last=middle, traded=traded)
        case ("place", *rest):
            place(venue, *rest)
        case ("modify", number, lots, ticks, kind) if orders:
            limit = 0 if kind == "MARKET" else price(ticks)
            one = orders[number % len(orders)]
            sign = 1 if one.side == "BUY" else -1
            trigger = round(limit - sign * 0.1, 2) if kind == "SL" else 0
            venue.modify(
                one.order_id,
                quantity=65 * lots,
                price=limit,
                order_type=kind,
                trigger_price=trigger,
                market_protection=-1,
            )
        case ("cancel", number) if orders:
            exchange.cancel(orders[number % len(orders)].order_id, venue.now)
        case ("wait", ms):
            venue.run(ms)
        case ("exit",):
            exchange.exit_positions(venue.now)
        case ("cancel_all",):
            exchange.cancel_multi(venue.now)
        case ("halt",):
            exchange.halt(venue.now, 3)
        case ("restart",):
            exchange.restart(venue.now, 1)


@given(COMMANDS, MENUS, st.integers(0, 1000))
@hypothesis_settings(max_examples=150)
def test_nothing_breaks_the_books(commands, menu, seed):
    venue = Venue(with_settings(**RICH, depth={"split_probability": 0.3}), menu, seed=seed)
    for contract in (CALL, PUT):
        venue.quote(contract)
    for command in commands:
        perform(venue, command)
        assert venue.exchange.books.audit() == ()
    venue.run(5000)
    assert venue.exchange.books.audit() == ()


@given(COMMANDS, st.integers(0, 1000))
@hypothesis_settings(max_examples=100)
def test_without_faults_the_stream_tells_the_whole_story(commands, seed):
    """The last message of each order agrees with the book, and no order is told backwards."""
    venue = Venue(with_settings(**RICH, day={"square_off": ""}), seed=seed)
    for contract in (CALL, PUT):
        venue.quote(contract)
    for command in commands:
        # A restart loses messages; a morning clears the book.
        if command[0] != "restart" and not (command[0] == "wait" and command[1] > 20_000):
            perform(venue, command)
    venue.run(5000)
    assert [event.ts for event in venue.events] == sorted(event.ts for event in venue.events)
    told = {}
    for event in venue.events:
        if event.kind is EventKind.ORDER:
            before = told.get(event.body["order_id"])
            if before is not None:
                assert before["filled_quantity"] <= event.body["filled_quantity"]
                assert before["status"] not in FINAL
            told[event.body["order_id"]] = event.body
    for one in venue.exchange.books.orders():
        assert (told[one.order_id]["status"], told[one.order_id]["filled_quantity"]) == (one.status, one.filled)


@given(COMMANDS, MENUS, st.integers(0, 1000))
@hypothesis_settings(max_examples=30)
def test_same_commands_same_story(commands, menu, seed):
    def story():
        venue = Venue(with_settings(**RICH), menu, seed=seed)
        venue.quote()
        for command in commands:
            perform(venue, command)
        venue.run(5000)
        return venue.events, venue.exchange.books.orders(), venue.exchange.books.executions()

    assert story() == story()


@given(COMMANDS)
@hypothesis_settings(max_examples=60)
def test_nobody_is_filled_beyond_his_limit(commands):
    venue = Venue(with_settings(**RICH))
    for contract in (CALL, PUT):
        venue.quote(contract)
    for command in commands:
        if command[0] != "modify" and not (command[0] == "wait" and command[1] > 20_000):
            perform(venue, command)
    venue.run(1000)
    for one in venue.exchange.books.orders():
        for execution in venue.exchange.books.executions():
            if execution.order_id == one.order_id:
                assert (execution.price - one.price) * one.side.sign <= 0
