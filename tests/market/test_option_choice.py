import pytest

from sos_actors.errors import InputError
from sos_actors.market.option_choice import Selection, parse_selection
from sos_actors.messages import Direction, Right


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ATM_CALL", Selection("ATM", Right.CE)),
        ("OTM_PUT_2", Selection("OTM", Right.PE, 2)),
        ("ITM_1", Selection("ITM", None, 1)),
        ("OTM_CALL", Selection("OTM", Right.CE, 1)),
        ("ATM", Selection("ATM")),
        ("DELTA_CALL_0.40", Selection("DELTA", Right.CE, delta=0.4)),
        ("RANKED_PUT", Selection("RANKED", Right.PE)),
        ("atm_ce", Selection("ATM", Right.CE)),
        ("UNDERLYING", Selection("UNDERLYING")),
        ("FUTURE", Selection("FUTURE")),
    ],
)
def test_selections_parse(text, expected):
    assert parse_selection(text) == expected


@pytest.mark.parametrize(
    ("text", "long", "short"),
    [
        ("ATM", "ATM_CALL", "ATM_PUT"),
        ("ATM_CALL", "ATM_CALL", "ATM_PUT"),
        ("OTM_CALL_1", "OTM_CALL_1", "OTM_PUT_1"),
        ("ITM_PUT_2", "ITM_CALL_2", "ITM_PUT_2"),
        ("otm_3", "OTM_CALL_3", "OTM_PUT_3"),
        ("OTM", "OTM_CALL_1", "OTM_PUT_1"),
        ("DELTA_CALL_0.40", "DELTA_CALL_0.40", "DELTA_PUT_0.40"),
        ("DELTA_.5", "DELTA_CALL_0.50", "DELTA_PUT_0.50"),
        ("RANKED", "RANKED_CALL", "RANKED_PUT"),
        ("RANKED_PE", "RANKED_CALL", "RANKED_PUT"),
        ("UNDERLYING", "UNDERLYING", "UNDERLYING"),
        ("FUTURE", "FUTURE", "FUTURE"),
    ],
)
def test_option_selection(text, long, short):
    selection = parse_selection(text)
    assert (selection.for_view(Direction.LONG), selection.for_view(Direction.SHORT)) == (long, short)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ATM_1",
        "OTM_0",
        "DELTA_CALL",
        "DELTA_1.5",
        "DELTA_CALL_0.001",
        "CALL",
        "OTM_CALL_100",
        "ATM_CALL_1",
        "OTM_CALL_1.5",
        "RANKED_CALL_3",
        "UNDERLYING_1",
        "OTM_CALL_-1",
    ],
)
def test_bad_option_selection(text):
    with pytest.raises(InputError, match="option_selection"):
        parse_selection(text)
