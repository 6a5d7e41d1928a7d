"""A nautilus_trader engine for the works: one venue in rupees, the risk engine and the closing analysis left out."""

from decimal import Decimal

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import Currency
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, AssetClass, OmsType, OptionKind
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import FuturesContract, OptionContract
from nautilus_trader.model.objects import Money, Price, Quantity
from work import CASH, FEE, MINUTE

NSE = Venue("NSE")
RUPEE = Currency.from_str("INR")
_AFTER_ALL = 10**16  # ns after the last bar: nothing expires within a run


def engine():
    made = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("PEER-1"),
            logging=LoggingConfig(bypass_logging=True),
            run_analysis=False,
            risk_engine=RiskEngineConfig(bypass=True),
        )
    )
    made.add_venue(
        venue=NSE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=RUPEE,
        starting_balances=[Money(CASH, RUPEE)],
        default_leverage=Decimal(1),
    )
    return made


def _terms(name, last):
    """What futures and options have in common here."""
    symbol = Symbol(name)
    return {
        "instrument_id": InstrumentId(symbol, NSE),
        "raw_symbol": symbol,
        "asset_class": AssetClass.INDEX,
        "currency": RUPEE,
        "price_precision": 2,
        "price_increment": Price.from_str("0.05"),
        "multiplier": Quantity.from_int(1),
        "lot_size": Quantity.from_int(1),
        "underlying": "NIFTY",
        "activation_ns": 0,
        "expiration_ns": int(last) + _AFTER_ALL,
        "ts_event": 0,
        "ts_init": 0,
        "margin_init": Decimal("0.1"),
        "margin_maint": Decimal("0.1"),
        "maker_fee": Decimal(str(FEE)),
        "taker_fee": Decimal(str(FEE)),
    }


def future(last):
    return FuturesContract(**_terms("NIFTY", last))


def option(strike, right, last):
    kind = OptionKind.CALL if right == "CE" else OptionKind.PUT
    return OptionContract(strike_price=Price(strike, 2), option_kind=kind, **_terms(f"NIFTY{strike:.0f}{right}", last))


def bar_type(instrument_id):
    return BarType.from_str(f"{instrument_id}-1-MINUTE-LAST-EXTERNAL")


def known_at(ts):
    """When each bar becomes known: the end of its minute."""
    return (ts + MINUTE).astype(np.uint64)


def bars(instrument_id, columns, ts):
    """Bars from five arrays: open, high, low, close and what travels as volume."""
    known = known_at(ts)
    return Bar.from_raw_arrays_to_list(bar_type(instrument_id), 2, 0, *map(np.ascontiguousarray, columns), known, known)
