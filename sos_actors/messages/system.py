"""What the runtime says of its actors."""

from __future__ import annotations

from sos_actors.messages.base import Message, Word


class ActorFailed(Message, frozen=True, gc=False):
    """A handler raised. Runtime -> Supervisor, observers. The message that did it is in the dead letters."""

    path: str
    ts: int
    message_type: str
    error: str
    traceback: str


class Terminated(Message, frozen=True, gc=False):
    """A watched actor has stopped for good. Runtime -> its watchers."""

    path: str
    reason: str


class ActorBenched(Message, frozen=True, gc=False):
    """An actor failed too often and was taken out. Supervisor -> RiskActor, observers."""

    path: str
    ts: int
    reason: str


class Reinstate(Message, frozen=True, gc=False):
    """Take a benched actor back. Operator -> the path that was benched; an actor at work takes no notice."""

    ts: int
    reason: str


class ActorReinstated(Message, frozen=True, gc=False):
    """A benched actor is at work again, its failures forgiven. Supervisor -> RiskActor, observers."""

    path: str
    ts: int
    reason: str


class ClockStepped(Message, frozen=True, gc=False):
    """The system's clock was set by `by` ns. Runtime -> RiskActor, observers.

    `followed`: the live clock went ahead with it. It never goes back; of a clock that was set back it is ahead.
    """

    ts: int
    by: int
    followed: bool


class AlertLevel(Word):
    """How loud an alert is. INFO: worth knowing; WARNING: look when you can; CRITICAL: look now."""

    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class AlertRaised(Message, frozen=True, gc=False):
    """Somebody should know. Any actor -> NotifierActor, recorder, observers. `text` is one line, without secrets."""

    ts: int
    level: AlertLevel
    source: str
    text: str
