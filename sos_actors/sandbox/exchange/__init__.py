"""A simulated broker and exchange: orders, matching, money, faults; pure, with time as an argument."""

from sos_actors.sandbox.exchange.answers import Answer, AnswerKind
from sos_actors.sandbox.exchange.exchange import Exchange
from sos_actors.sandbox.exchange.faults import FAULTS, Chance, FaultMenu
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
