"""The link at work: threads, real sockets, the real SDK. One answer a message, exits past whatever hangs."""

import json
import random
import threading
import time
from collections import Counter

import pytest
from feed_clients import quick
from feed_server import FeedServer, wait_for
from link_broker import (
    BOOK,
    CANCEL,
    FUNDS_3,
    MODIFY,
    OPTION,
    PLACE,
    POSITIONS,
    TABLE,
    TOKEN,
    TRADES,
    client_of,
    order_row,
    place,
)
from link_server import BrokerServer, Reply, data, error

from sos_actors.messages import (
    BrokerOrderChanged,
    CommandAnswered,
    FundsRead,
    OrdersRead,
    OrderStreamChanged,
    OrderType,
    Outcome,
    PositionsRead,
    ReadFunds,
    ReadOrders,
    ReadPositions,
    ReadTrades,
    SendCancel,
    SendModify,
    TradesRead,
)
from sos_actors.runtime import Actor, LiveRuntime, handles
from sos_actors.upstox.account import UpstoxAccount
from sos_actors.upstox.answers import Answerer
from sos_actors.upstox.books import BookReader
from sos_actors.upstox.limits import RateSettings
from sos_actors.upstox.link import BrokerLinkActor
from sos_actors.upstox.order_stream import UpdateReader, broker_stream
from sos_actors.upstox.orders import UpstoxOrders
from sos_actors.upstox.settings import LinkSettings

ANSWERS = (CommandAnswered, OrdersRead, TradesRead, PositionsRead, FundsRead, BrokerOrderChanged, OrderStreamChanged)
#: So wide that no test waits for it.
FREE = RateSettings(order=(500, 5000, 20000), standard=(500, 5000, 20000))


class Ear(Actor):
    """Hears all that the link says."""

    def __init__(self, heard):
        super().__init__()
        self.heard = heard
        for kind in ANSWERS:
            self.subscribe(kind)

    @handles(*ANSWERS)
    def on_any(self, message):
        self.heard.append(message)


class Desk:
    """A link, its broker and who hears it."""

    def __init__(self, rest, feed, **client):
        self.rest, self.feed = rest, feed
        self.heard = []
        feed.tokens.add(TOKEN)
        self.client = client_of(rest.url, feed_base=feed.base, rates=FREE, **client)
        self.runtime = LiveRuntime(strict=True)
        self.runtime.spawn(Ear, "ear", self.heard)
        account = UpstoxAccount(self.client, lambda: TABLE, patience_s=0.0)
        orders = UpstoxOrders(self.client, patience_s=0.0, exit_patience_s=0.0)
        self.link = self.runtime.spawn(
            BrokerLinkActor, "broker link",
            Answerer(orders, account, lambda: TABLE, time.time_ns),
            UpdateReader(BookReader(lambda: TABLE)),
            broker_stream(self.client, quick(), random.Random(1)),
            LinkSettings(), time.time_ns, group="broker",
        )  # fmt: skip

    def all(self, kind):
        return [message for message in list(self.heard) if isinstance(message, kind)]

    def answer(self, request_id):
        """Wait for the answer to a request."""
        found = wait_for(lambda: [m for m in list(self.heard) if getattr(m, "request_id", "") == request_id])
        return found[0]


@pytest.fixture
def desk():
    with BrokerServer() as rest, FeedServer() as feed:
        made = Desk(rest, feed)
        yield made
        made.runtime.close()


def test_every_message_is_answered_once_whatever_comes_back(desk):
    odd = [
        data({"order_ids": ["1"]}),
        error(400, "UDAPI1026"),
        Reply(500, b"<html>"),
        Reply(cut="at once"),
        Reply(200, b""),
    ]
    for number, kind in enumerate((PLACE, MODIFY, CANCEL, BOOK, POSITIONS, TRADES, FUNDS_3)):
        replies = iter(odd[number % 5 :] + odd * 10)
        lock = threading.Lock()

        def reply(_, replies=replies, lock=lock):
            with lock:
                return next(replies)

        desk.rest.replies[kind] = reply
    sent = []
    for n in range(10):
        sent += [
            place(f"p{n}"), SendModify(f"m{n}", f"b{n % 3}", 65, OrderType.LIMIT, price=9.0),
            SendCancel(f"c{n}", f"b{n % 3}", exits=n % 2 == 0), ReadOrders(f"o{n}"), ReadOrders(f"g{n}", "tag"),
            ReadTrades(f"t{n}"), ReadPositions(f"q{n}"), ReadFunds(f"f{n}"),
        ]  # fmt: skip
    for message in sent:
        desk.runtime.publish(message)
    wait_for(lambda: len([m for m in desk.heard if hasattr(m, "request_id")]) >= len(sent))
    desk.runtime.settle()
    counts = Counter(m.request_id for m in desk.heard if hasattr(m, "request_id"))
    assert counts == {message.request_id: 1 for message in sent}
    assert {m.outcome for m in desk.all(CommandAnswered)} == {Outcome.CONFIRMED, Outcome.REJECTED, Outcome.UNKNOWN}


def test_reads_that_hang_do_not_delay_a_cancel(desk):
    hold = threading.Event()
    for kind in (BOOK, TRADES, POSITIONS, FUNDS_3):
        desk.rest.replies[kind] = data([])._replace(hold=hold)
    desk.rest.replies[CANCEL] = data({"order_id": "1"})
    try:
        for n in range(3):
            for read in (ReadOrders, ReadTrades, ReadPositions, ReadFunds):
                desk.runtime.publish(read(f"{read.__name__}{n}"))
        wait_for(lambda: desk.rest.hits)
        desk.runtime.publish(SendCancel("c", "1"))
        assert desk.answer("c").outcome is Outcome.CONFIRMED
        assert not desk.all(OrdersRead) + desk.all(TradesRead)
    finally:
        hold.set()


def test_entries_that_hang_do_not_delay_an_exit(desk):
    hold = threading.Event()
    desk.rest.replies[PLACE] = lambda hit: data({"order_ids": ["1"]})._replace(
        hold=hold if hit.body["tag"] == "slow" else None
    )
    try:
        for n in range(8):
            desk.runtime.publish(place(f"entry{n}", tag="slow"))
        wait_for(lambda: len(desk.rest.hits) == 3)
        desk.runtime.publish(place("exit", tag="quick", exits=True))
        assert desk.answer("exit").outcome is Outcome.CONFIRMED
        assert len(desk.all(CommandAnswered)) == 1
    finally:
        hold.set()


def test_what_concerns_one_order_goes_in_order(desk):
    hold = threading.Event()
    desk.rest.replies[MODIFY] = data({"order_id": "1"})._replace(hold=hold)
    desk.rest.replies[CANCEL] = data({"order_id": "1"})
    try:
        desk.runtime.publish(SendModify("m", "A", 65, OrderType.LIMIT, price=9.0))
        wait_for(lambda: desk.rest.asked(*MODIFY))
        desk.runtime.publish(SendCancel("same", "A", exits=True))
        desk.runtime.publish(SendCancel("other", "B", exits=True))
        desk.answer("other")
        assert [hit.query["order_id"] for hit in desk.rest.asked(*CANCEL)] == ["B"]
    finally:
        hold.set()
    assert desk.answer("same").outcome is Outcome.CONFIRMED
    assert [m.request_id for m in desk.all(CommandAnswered)] == ["other", "m", "same"]


def test_at_the_end_what_waits_is_refused_and_what_is_under_way_is_still_answered(desk):
    hold = threading.Event()
    desk.rest.replies[PLACE] = data({"order_ids": ["1"]})._replace(hold=hold)
    for n in range(6):
        desk.runtime.publish(place(f"p{n}"))
    wait_for(lambda: len(desk.rest.hits) == 3)
    desk.link.stop(block=False)
    wait_for(lambda: len(desk.all(CommandAnswered)) == 3)
    assert {m.outcome for m in desk.all(CommandAnswered)} == {Outcome.REFUSED}
    hold.set()
    wait_for(lambda: len(desk.all(CommandAnswered)) == 6)
    assert Counter(m.outcome for m in desk.all(CommandAnswered)) == {Outcome.REFUSED: 3, Outcome.CONFIRMED: 3}
    assert len(desk.rest.hits) == 3


def test_the_order_stream_comes_through_and_its_state_is_told(desk):
    wait_for(lambda: [m.live for m in desk.all(OrderStreamChanged)] == [True])
    desk.feed.send(
        json.dumps(order_row(update_type="order", status="complete", filled_quantity=65, average_price=100.0))
    )
    desk.feed.send(json.dumps({"update_type": "position"}))
    desk.feed.send("no json")
    (changed,) = wait_for(lambda: desk.all(BrokerOrderChanged))
    assert (changed.order.instrument, changed.order.ended, changed.order.filled) == (OPTION, True, 65)
    assert changed.ts > 0
    desk.feed.drop(1000)
    wait_for(lambda: [m.live for m in desk.all(OrderStreamChanged)] == [True, False, True])
    shown = desk.link.proxy().inspect().get(timeout=20)
    assert (shown["updates"]["order"], shown["updates"]["other"]) == (1, 1)
    assert shown["updates"]["malformed"] >= 1
    assert shown["stream_live"]


def test_after_a_restart_there_is_one_stream_and_work_goes_on(desk):
    wait_for(lambda: desk.all(OrderStreamChanged))
    desk.rest.replies[PLACE] = data({"order_ids": ["1"]})
    actor = desk.runtime.actor("broker link")

    def broken(*_, **__):
        raise RuntimeError("as if")

    actor._command = broken
    desk.runtime.publish(place("lost"))
    wait_for(lambda: desk.runtime.actor("broker link") is not actor)
    desk.runtime.publish(place("after"))
    assert desk.answer("after").outcome is Outcome.CONFIRMED
    wait_for(lambda: len(desk.feed.sockets) == 2 and len(desk.feed.open) == 1)
    assert desk.feed.most_open == 1


@pytest.mark.parametrize("wrong", [{"order_workers": 1}, {"read_workers": 0}, {"exit_patience_s": -1.0}])
def test_settings(wrong):
    with pytest.raises(ValueError, match=r"upstox\.link: write"):
        LinkSettings(**wrong)
