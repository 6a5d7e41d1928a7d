"""Strategy files: schema, expression compiler, phase machine."""

from sos_actors.playbook.compiler import CompiledStrategy
from sos_actors.playbook.errors import StrategyError
from sos_actors.playbook.loader import Playbook, build_playbook, load_playbook
from sos_actors.playbook.machine import StrategyMachine
from sos_actors.playbook.outcomes import Declined, Leave, Outcome, Setup
from sos_actors.playbook.schema import ExitsFile, RegimeRule, StrategyFile

__all__ = [
    "CompiledStrategy",
    "Declined",
    "ExitsFile",
    "Leave",
    "Outcome",
    "Playbook",
    "RegimeRule",
    "Setup",
    "StrategyError",
    "StrategyFile",
    "StrategyMachine",
    "build_playbook",
    "load_playbook",
]
