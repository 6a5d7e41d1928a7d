import pytest

from sos_actors.messages import NAN, RefusalReason, Side
from sos_actors.trading.sizing import SizingSettings, margin_per_unit, size

BASE = {
    "kind": "OPT",
    "side": Side.BUY,
    "entry": 100.0,
    "stop": 90.0,
    "spot": 24500.0,
    "lot_size": 75,
    "freeze_quantity": 1800,
    "quantity_mod": 1.0,
    "equity": 1_000_000.0,
    "free_cash": 1_000_000.0,
}


def units(settings=None, **changes):
    return size(**(BASE | changes), settings=SizingSettings(**({"risk_fraction": 0.01} | (settings or {}))))


def test_the_rule_floors_before_and_after_the_multiplier():
    # 10,000 rupees at risk, 750 a lot: 13 lots; x1.5 = 19.5 -> 19.
    assert units().quantity == 13 * 75
    assert units(quantity_mod=1.5).quantity == 19 * 75


def test_the_cap_in_rupees_binds_where_it_is_less():
    assert units({"risk_cap": 1500.0}).quantity == 2 * 75
    assert units({"risk_cap": 1499.0}).quantity == 75


def test_the_multiplier_is_capped():
    assert units({"risk_cap": 3000.0}, quantity_mod=9.0).quantity == 10 * 75
    assert units({"risk_cap": 3000.0, "quantity_mod_cap": 1.0}, quantity_mod=9.0).quantity == 4 * 75


def test_lots_freeze_and_margin_cut():
    assert units({"max_lots": 3}).quantity == 225
    assert units(freeze_quantity=500).quantity == 450
    assert units(freeze_quantity=0).quantity == 13 * 75
    assert units(free_cash=16_000.0).quantity == 150
    assert units({"cash_fraction": 0.5}, free_cash=16_000.0).quantity == 75


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stop": 100.0}, RefusalReason.SIZE_ZERO),
        ({"equity": 70_000.0}, RefusalReason.SIZE_ZERO),
        ({"equity": -5.0}, RefusalReason.SIZE_ZERO),
        ({"quantity_mod": 0.0}, RefusalReason.SIZE_ZERO),
        ({"freeze_quantity": 74}, RefusalReason.SIZE_ZERO),
        ({"stop": NAN, "side": Side.SELL}, RefusalReason.SIZE_ZERO),
        ({"free_cash": 7_499.0}, RefusalReason.MARGIN),
        ({"free_cash": -1.0}, RefusalReason.MARGIN),
    ],
)
def test_nothing_says_why(changes, reason):
    got = units(**changes)
    assert (got.quantity, got.reason) == (0, reason)
    assert got.detail


def test_a_bought_option_without_a_stop_risks_its_premium():
    assert units(stop=NAN).quantity == 75


def test_a_fixed_quantity_is_taken_whole_or_not_at_all():
    bench = {"fixed_quantity": 1, "margin_fraction": 0.0}
    one = {"kind": "INDEX", "stop": NAN, "lot_size": 1, "freeze_quantity": 0, "entry": 24000.05}
    assert units(bench, **one).quantity == 1
    assert units({"fixed_quantity": 150}, free_cash=15_000.0).quantity == 150
    assert units({"fixed_quantity": 150}, free_cash=14_999.0).reason is RefusalReason.MARGIN


def test_margin_is_the_premium_for_a_bought_option_and_a_fraction_of_the_notional_else():
    settings = SizingSettings(margin_fraction=0.2)
    assert margin_per_unit("OPT", Side.BUY, 100.0, 24500.0, settings) == 100.0
    assert margin_per_unit("OPT", Side.SELL, 100.0, 24500.0, settings) == 4900.0
    assert margin_per_unit("FUT", Side.BUY, 24600.0, NAN, settings) == 4920.0


def test_negative_settings_are_refused():
    with pytest.raises(ValueError, match=r"sizing\.risk_cap"):
        SizingSettings(risk_cap=-1.0)
