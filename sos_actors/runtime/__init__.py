"""The actor runtime, built on Pykka: one cast, two stages (simulated and live). It knows nothing of trading."""

from sos_actors.runtime.actor import Actor, Ref, handles
from sos_actors.runtime.base import ActorStats, EscalatedError, Runtime
from sos_actors.runtime.clock import ClockActor, Session, sessions_of
from sos_actors.runtime.dead_letters import DeadLetter, DeadLetters
from sos_actors.runtime.live import LiveRuntime
from sos_actors.runtime.settings import RuntimeSettings, group_of
from sos_actors.runtime.sim import SimRuntime
from sos_actors.runtime.supervision import Directive, RestartPolicy
from sos_actors.runtime.topics import Topic
from sos_actors.runtime.walltime import CLOCK_VARIABLE, ClockSettings, WallTime, with_clock

__all__ = [
    "CLOCK_VARIABLE",
    "Actor",
    "ActorStats",
    "ClockActor",
    "ClockSettings",
    "DeadLetter",
    "DeadLetters",
    "Directive",
    "EscalatedError",
    "LiveRuntime",
    "Ref",
    "RestartPolicy",
    "Runtime",
    "RuntimeSettings",
    "Session",
    "SimRuntime",
    "Topic",
    "WallTime",
    "group_of",
    "handles",
    "sessions_of",
    "with_clock",
]
