"""A simulated broker and exchange: orders, matching, money, faults; pure, with time as an argument.

It follows what is documented of the broker and says here what is not, and was assumed:

* an order for a segment the kill switch has switched off is refused with UDAPI100049, night and funds hours with 423;
* a MARKET or SL-M order is shown as the LIMIT order it becomes, at the last price (SL-M: the trigger) and protection;
* `market_protection` 0 is refused with UDAPI1158, an unregistered address with 403 and UDAPI1154, as others report;
* a stop whose trigger has been passed already goes off at once; price protection is not applied to triggered stops;
* requests on one order are worked on one after the other, and those that come before it is open wait for it;
* outside the session orders are rejected by the risk checks: after-market orders are not taken;
* of two working exits for one position the second needs the margin of the position it could open.
"""

from sos_actors.sandbox.dice import Chance
from sos_actors.sandbox.exchange.answers import Answer, AnswerKind
from sos_actors.sandbox.exchange.exchange import Exchange
from sos_actors.sandbox.exchange.faults import FAULTS, FaultMenu
from sos_actors.sandbox.exchange.gate import Caller, Token
from sos_actors.sandbox.exchange.settings import ExchangeSettings
from sos_actors.sandbox.exchange.stream import EventKind, StreamEvent

__all__ = [
    "FAULTS",
    "Answer",
    "AnswerKind",
    "Caller",
    "Chance",
    "EventKind",
    "Exchange",
    "ExchangeSettings",
    "FaultMenu",
    "StreamEvent",
    "Token",
]
