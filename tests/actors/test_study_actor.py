"""The study actor: where an index's volume comes from, bars that wait for it, and longer frames."""

import math

import msgspec
import pytest
from actor_helpers import DAY, INDEX, MINUTE, Ear, ist

from sos_actors.actors.study import StudyActor
from sos_actors.market.ids import near_future
from sos_actors.messages import Bar, DayLoaded, Phase, SessionPhase, Studies, VolumeSource
from sos_actors.playbook.outcomes import NO_CHAIN
from sos_actors.quant.studies import StudyBook
from sos_actors.runtime import SimRuntime

FUTURE = "NSE|FUT|NIFTY|2025-09-30"
OPEN = ist("09:15")


class Stage:
    """A study actor and what it says; minutes count from the open."""

    def __init__(self, *, with_volume=True, frames=(60,), **day):
        self.heard = []
        self._runtime = SimRuntime(strict=True)
        books = {seconds: StudyBook(()) for seconds in frames}
        self._runtime.spawn(StudyActor, "study/NIFTY", "NIFTY", books, with_volume=with_volume)
        self._runtime.spawn(Ear, "ear", self.heard, *((Studies, f"NIFTY/{seconds}") for seconds in frames))
        self._runtime.drain()
        self.say(SessionPhase(OPEN - MINUTE, DAY, Phase.PRE_OPEN))
        content = {"index": True, "index_volume": False, "future": "", "chain": True, "interval_s": 60} | day
        self.say(DayLoaded("NIFTY", DAY, **content), "NIFTY")
        self.say(SessionPhase(OPEN, DAY, Phase.OPEN))

    def say(self, message, key=""):
        self._runtime.publish(message, key)
        self._runtime.drain()

    def index(self, minute, length=1, volume=math.nan):
        start = OPEN + minute * MINUTE
        self.say(Bar(INDEX, start, start + length * MINUTE, 1, 2, 0.5, minute, volume), INDEX)

    def future(self, minute, volume):
        start = OPEN + minute * MINUTE
        self.say(Bar(FUTURE, start, start + MINUTE, 1, 1, 1, 1, volume), near_future("NIFTY"))

    def chain(self, minute, traded_so_far):
        ts = OPEN + (minute + 1) * MINUTE
        snapshot = msgspec.structs.replace(
            NO_CHAIN, underlying="NIFTY", ts=ts, ce_volume=traded_so_far / 2, pe_volume=traded_so_far / 2
        )
        self.say(snapshot, "NIFTY")

    @property
    def volumes(self):
        return [(studies.bar.volume, studies.bar.volume_source) for studies in self.heard]


def test_the_exchanges_own_volume_comes_first():
    stage = Stage(index_volume=True, future=FUTURE)
    stage.future(0, 750.0)
    stage.index(0, volume=12.0)
    assert stage.volumes == [(12.0, VolumeSource.EXCHANGE)]


@pytest.mark.parametrize("future_first", [True, False])
def test_then_the_near_futures_in_whatever_order_it_comes(future_first):
    stage = Stage(future=FUTURE)
    for minute, volume in enumerate((750.0, 900.0)):
        if future_first:
            stage.future(minute, volume)
        stage.index(minute)
        assert len(stage.heard) == (minute + 1 if future_first else minute)
        if not future_first:
            stage.future(minute, volume)
        stage.chain(minute, 10_000.0)
    assert stage.volumes == [(750.0, VolumeSource.FUTURE), (900.0, VolumeSource.FUTURE)]


def test_then_what_the_options_traded_within_the_minute():
    stage = Stage()
    for minute, total in enumerate((1_000.0, 1_500.0, 1_750.0)):
        stage.index(minute)
        stage.chain(minute, total)
    # The day's first minute has its volume too: unknown, it would keep every average of 20 bars unknown until 09:35.
    assert stage.volumes == [(volume, VolumeSource.OPTIONS) for volume in (1_000.0, 500.0, 250.0)]


def test_a_first_snapshot_without_volume_makes_no_more_than_its_own_bar_unknown():
    stage = Stage()
    for minute, total in enumerate((math.nan, 500.0, 750.0)):
        stage.index(minute)
        stage.chain(minute, total)
    (first, _), *rest = stage.volumes
    assert math.isnan(first)
    assert [volume for volume, _ in rest] == [500.0, 250.0]


def test_and_else_none_and_nobody_waits():
    stage = Stage(chain=False)
    stage.index(0)
    ((volume, source),) = stage.volumes
    assert math.isnan(volume)
    assert source in {VolumeSource.NONE, VolumeSource.EXCHANGE}


def test_a_bar_whose_volume_never_comes_goes_with_the_next():
    stage = Stage(future=FUTURE)
    stage.index(0)
    assert stage.heard == []
    stage.index(1)
    assert [studies.bar.close for studies in stage.heard] == [0]
    stage.future(1, 750.0)
    assert [studies.bar.close for studies in stage.heard] == [0, 1]
    assert math.isnan(stage.heard[0].bar.volume)
    assert stage.heard[1].bar.volume == 750.0


def test_a_volume_that_comes_too_late_is_not_given_to_another_bar():
    stage = Stage(future=FUTURE)
    stage.future(0, 500.0)
    stage.index(1)
    stage.future(1, 750.0)
    assert stage.volumes == [(750.0, VolumeSource.FUTURE)]


def test_without_readers_of_volume_no_bar_waits():
    stage = Stage(with_volume=False, future=FUTURE)
    stage.index(0)
    assert len(stage.heard) == 1


def test_the_longest_frame_speaks_first_and_holds_whole_bars():
    stage = Stage(with_volume=False, frames=(60, 300, 900))
    for minute in range(15):
        stage.index(minute)
    assert [studies.timeframe for studies in stage.heard if studies.ts == OPEN + 15 * MINUTE] == [900, 300, 60]
    long = [studies for studies in stage.heard if studies.timeframe == 300]
    assert [(studies.bar.start, studies.bar.end, studies.bar.close) for studies in long] == [
        (OPEN + 5 * k * MINUTE, OPEN + 5 * (k + 1) * MINUTE, 5 * k + 4) for k in range(3)
    ]
    assert long[0].previous == long[0].bar
    assert long[1].previous == long[0].bar


def test_bars_too_coarse_for_a_frame_say_nothing_there():
    stage = Stage(with_volume=False, frames=(60, 300), interval_s=300)
    for minute in (0, 5, 10):
        stage.index(minute, length=5)
    assert [(studies.timeframe, studies.bar.close) for studies in stage.heard] == [(300, 0), (300, 5), (300, 10)]


def test_a_new_day_forgets_the_bar_that_waited():
    stage = Stage(future=FUTURE)
    stage.index(0)
    stage.say(SessionPhase(OPEN, DAY, Phase.PRE_OPEN))
    stage.future(0, 750.0)
    assert stage.heard == []
