import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.errors import InputError
from sos_actors.market.charges import (
    ChargeBreakdown,
    ChargeModel,
    ChargeSchedule,
    ChargeSettings,
    FlatCharges,
    NoteFill,
)
from sos_actors.messages import Side

D = dt.date
BUY, SELL = Side.BUY, Side.SELL
SCHEDULE = ChargeSchedule()

# Bought 150 NIFTY calls at 100.00 (turnover Rs 15,000.00), sold them at 120.00 (Rs 18,000.00), by hand in rupees:
#   brokerage 20.00 each side
#   30 Sep 2024: STT 0.0625 % of 18,000 = 11.25      NSE 0.0495 %: 7.425, 8.91      IPFT 0.0005 %: 0.075, 0.09
#    1 Oct 2024: STT 0.1 %    of 18,000 = 18.00      NSE 0.03503 %: 5.2545, 6.3054  IPFT 0.0005 %: 0.075, 0.09
#    1 Mar 2026: STT 0.1 %                           NSE 0.03552 %: 5.328, 6.3936   IPFT 0.00001 %: 0.0015, 0.0018
#    1 Apr 2026: STT 0.15 %   of 18,000 = 27.00      as in March
#   SEBI 0.0001 %: 0.015, 0.018     stamp 0.003 % of 15,000 = 0.45     GST 18 % of brokerage + NSE + IPFT + SEBI
# In paise, half up: each row is (buy, sell) of stt, transaction, ipft, sebi, stamp, gst.
HAND = {
    D(2024, 9, 30): ((0, 743, 8, 2, 45, 496), (1125, 891, 9, 2, 0, 522)),
    D(2024, 10, 1): ((0, 525, 8, 2, 45, 456), (1800, 631, 9, 2, 0, 476)),
    D(2026, 2, 28): ((0, 525, 8, 2, 45, 456), (1800, 631, 9, 2, 0, 476)),
    D(2026, 3, 1): ((0, 533, 0, 2, 45, 456), (1800, 639, 0, 2, 0, 475)),
    D(2026, 3, 31): ((0, 533, 0, 2, 45, 456), (1800, 639, 0, 2, 0, 475)),
    D(2026, 4, 1): ((0, 533, 0, 2, 45, 456), (2700, 639, 0, 2, 0, 475)),
}


@pytest.mark.parametrize("day", HAND)
def test_hand_worked_fills(day):
    for side, price, (stt, transaction, ipft, sebi, stamp, gst) in zip(
        (BUY, SELL), (100.0, 120.0), HAND[day], strict=True
    ):
        got = SCHEDULE.charges("OPT", "NSE", side, 150, price, day)
        assert got == ChargeBreakdown(
            brokerage=2000, stt=stt, transaction=transaction, ipft=ipft, sebi=sebi, stamp=stamp, gst=gst
        )
        assert got.total == 2000 + stt + transaction + ipft + sebi + stamp + gst


def test_hand_worked_contract_note():
    """The same two fills as one note of 1 October 2024, worked in rupees before rounding.

    turnover 33,000: NSE 0.03503 % = 11.5599, IPFT 0.0005 % = 0.165, SEBI 0.0001 % = 0.033
    STT 18.00 -> 18; stamp 0.45 -> 0; brokerage 40.00
    GST 18 % of (40.00 + 11.56 + 0.17 + 0.03 = 51.76) = 9.3168
    """
    fills = [NoteFill("OPT", "NSE", BUY, 150, 100.0), NoteFill("OPT", "NSE", SELL, 150, 120.0)]
    note = SCHEDULE.contract_note(fills, D(2024, 10, 1))
    assert note == ChargeBreakdown(brokerage=4000, stt=1800, transaction=1156, ipft=17, sebi=3, stamp=0, gst=932)
    assert note.total == 7908


def test_note_rounds_stt_and_stamp_to_the_rupee_half_up():
    # STT 0.1 % of 1,500.00 = 1.50 -> 2; of 1,499.00 = 1.499 -> 1. Stamp 0.003 % of 16,700 = 0.501 -> 1.
    day = D(2025, 6, 2)
    assert SCHEDULE.contract_note([NoteFill("OPT", "NSE", SELL, 75, 20.0)], day).stt == 200
    assert SCHEDULE.contract_note([NoteFill("OPT", "NSE", SELL, 10, 149.9)], day).stt == 100
    assert SCHEDULE.contract_note([NoteFill("OPT", "NSE", BUY, 100, 167.0)], day).stamp == 100


def test_sensex_options_and_futures():
    # SENSEX: 20 at 250.00 = 5,000: BSE 0.0325 % = 1.625 -> 1.63, no IPFT.
    got = SCHEDULE.charges("OPT", "BSE", BUY, 20, 250.0, D(2026, 11, 20))
    assert (got.transaction, got.ipft, got.stt, got.stamp) == (163, 0, 0, 15)
    # NIFTY future: 65 at 25,000 = 16,25,000: STT 0.02 % = 325.00, then 0.05 % = 812.50; NSE 183 a crore in all = 29.74.
    before, after = (SCHEDULE.charges("FUT", "NSE", SELL, 65, 25000.0, day) for day in (D(2026, 3, 31), D(2026, 4, 1)))
    assert (before.stt, after.stt) == (32500, 81250)
    assert before.transaction + before.ipft == after.transaction + after.ipft == 2974
    assert SCHEDULE.charges("FUT", "NSE", BUY, 65, 25000.0, D(2026, 4, 1)).stamp == 3250


def test_exercise():
    # 65 units 100.00 in the money = 6,500: 0.125 % = 8.125, then 0.15 % = 9.75.
    assert SCHEDULE.exercise("NSE", 65, 100.0, D(2026, 3, 30)) == ChargeBreakdown(stt=813)
    assert SCHEDULE.exercise("NSE", 65, 100.0, D(2026, 4, 1)) == ChargeBreakdown(stt=975)


def test_parts_of_one_order_pay_brokerage_once():
    parts = [SCHEDULE.charges("OPT", "NSE", BUY, 75, 10.0, D(2025, 6, 2), orders) for orders in (0, 0, 1)]
    assert sum(part.brokerage for part in parts) == 2000
    cheap = ChargeSchedule(ChargeSettings(brokerage_per_order=0.0)).charges("OPT", "NSE", BUY, 75, 10.0, D(2025, 6, 2))
    assert cheap.brokerage == 0
    assert cheap.gst > 0, "the exchange's fee is still taxed"


@pytest.mark.parametrize(
    ("kind", "exchange", "day", "words"),
    [
        ("EQ", "NSE", D(2026, 1, 5), "OPT and FUT"),
        ("OPT", "MCX", D(2026, 1, 5), "MCX"),
        ("OPT", "NSE", D(2020, 1, 6), "2023"),
    ],
)
def test_what_is_not_known(kind, exchange, day, words):
    with pytest.raises(InputError, match=words):
        ChargeSchedule().charges(kind, exchange, BUY, 75, 10.0, day)


def test_simple_models_have_the_same_interface():
    models: list[ChargeModel] = [FlatCharges(0.0005), FlatCharges(0.0), SCHEDULE]
    totals = [m.charges("OPT", "NSE", SELL, 75, 100.0, D(2026, 5, 4)).total for m in models]
    assert totals[:2] == [375, 0]
    assert [m.exercise("NSE", 75, 100.0, D(2026, 5, 4)).total for m in models] == [375, 0, 1125]
    with pytest.raises(InputError, match="fraction"):
        FlatCharges(5.0)


@given(
    st.lists(
        st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 40), st.integers(1, 40_000)), min_size=1, max_size=20
    ),
    st.dates(D(2023, 4, 1), D(2026, 12, 31)),
)
def test_fills_add_up_to_the_note_within_rounding(rows, day):
    fills = [NoteFill("OPT", "NSE", side, lots * 65, ticks * 0.05) for side, lots, ticks in rows]
    each = [SCHEDULE.charges(f.kind, f.exchange, f.side, f.quantity, f.price, day) for f in fills]
    total = sum(each, ChargeBreakdown())
    note = SCHEDULE.contract_note(fills, day)
    assert note.brokerage == total.brokerage
    assert note.stt % 100 == note.stamp % 100 == 0
    for name, rupee in (("stt", 50), ("stamp", 50), ("transaction", 0), ("ipft", 0), ("sebi", 0)):
        assert abs(getattr(note, name) - getattr(total, name)) <= rupee + 0.5 * len(fills) + 0.5, name
    assert all(value >= 0 for value in (total.stt, total.stamp, total.gst))
