import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.errors import InputError
from sos_actors.market.ids import EXCHANGE_OF, InstrumentId, future_id, index_id, option_id, parse_id
from sos_actors.messages import Right

UNDERLYINGS = st.sampled_from(sorted(EXCHANGE_OF))
DAYS = st.dates(dt.date(2015, 1, 1), dt.date(2040, 1, 1))
STRIKES = st.integers(1, 8_000).map(lambda quarter: quarter * 12.5)


def test_written_as_documented():
    day = dt.date(2025, 9, 2)
    assert index_id("NIFTY") == "NSE|INDEX|NIFTY"
    assert future_id("NIFTY", dt.date(2025, 9, 30)) == "NSE|FUT|NIFTY|2025-09-30"
    assert option_id("NIFTY", day, 24500.0, Right.CE) == "NSE|OPT|NIFTY|2025-09-02|24500|CE"
    assert option_id("SENSEX", day, 80100.0, Right.PE) == "BSE|OPT|SENSEX|2025-09-02|80100|PE"


@given(UNDERLYINGS, DAYS, STRIKES, st.sampled_from(Right))
def test_round_trip(underlying, day, strike, right):
    exchange = EXCHANGE_OF[underlying]
    assert parse_id(index_id(underlying)) == InstrumentId(exchange, "INDEX", underlying)
    assert parse_id(future_id(underlying, day)) == InstrumentId(exchange, "FUT", underlying, day)
    option = parse_id(option_id(underlying, day, strike, right))
    assert option == InstrumentId(exchange, "OPT", underlying, day, strike, right)
    assert option_id(option.underlying, option.expiry, option.strike, option.right) == option_id(
        underlying, day, strike, right
    )


@pytest.mark.parametrize(
    "text",
    ["", "NIFTY", "NSE|OPT|NIFTY|2025-09-02|24500", "NSE|OPT|NIFTY|2025-13-02|24500|CE",
     "NSE|OPT|NIFTY|2025-09-02|x|CE", "NSE|OPT|NIFTY|2025-09-02|24500|XX", "NSE|FUT|NIFTY|soon"],
)  # fmt: skip
def test_no_id(text):
    with pytest.raises(InputError, match="instrument id"):
        parse_id(text)
