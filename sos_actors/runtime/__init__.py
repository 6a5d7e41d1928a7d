"""The actor runtime, built on Pykka: one cast, two stages (simulated and live). It knows nothing of trading."""

from sos_actors.runtime.actor import Actor, Ref, handles
from sos_actors.runtime.base import ActorStats, Runtime
from sos_actors.runtime.clock import ClockActor, Session
from sos_actors.runtime.dead_letters import DeadLetter, DeadLetters
from sos_actors.runtime.live import LiveRuntime
from sos_actors.runtime.sim import SimRuntime
from sos_actors.runtime.supervision import Directive, RestartPolicy
from sos_actors.runtime.topics import Topic

__all__ = [
    "Actor",
    "ActorStats",
    "ClockActor",
    "DeadLetter",
    "DeadLetters",
    "Directive",
    "LiveRuntime",
    "Ref",
    "RestartPolicy",
    "Runtime",
    "Session",
    "SimRuntime",
    "Topic",
    "handles",
]
