"""What happens to an actor that raised: restarted, benched, or the system is told to stop.

After Erlang/OTP's supervisors: at most `restarts` restarts within `period_s`, then the actor is taken out. The
message that killed it is never delivered again; the rest of its mailbox waits for its successor.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field

NS = 1_000_000_000


class Directive(enum.Enum):
    """The verdict on a failure."""

    RESTART = "restart"
    BENCH = "bench"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How much failure one actor is allowed, and what follows when it is used up (BENCH or ESCALATE)."""

    restarts: int = 3
    period_s: float = 60.0
    exhausted: Directive = Directive.BENCH


#: What an actor gets unless the wiring says otherwise.
RESTART = RestartPolicy()
#: An actor whose loss the system must not survive: orders, positions, the clock.
VITAL = RestartPolicy(restarts=0, exhausted=Directive.ESCALATE)


@dataclass(slots=True)
class FailureRecord:
    """The failures of one path, oldest first (clock time, UTC ns)."""

    policy: RestartPolicy
    times: deque[int] = field(default_factory=deque)
    total: int = 0

    def judge(self, now: int) -> Directive:
        """Count one failure at `now` and say what to do."""
        self.total += 1
        self.times.append(now)
        horizon = now - int(self.policy.period_s * NS)
        while self.times and self.times[0] <= horizon:
            self.times.popleft()
        return Directive.RESTART if len(self.times) <= self.policy.restarts else self.policy.exhausted

    def forgive(self) -> None:
        """Let the policy begin anew; `total` goes on."""
        self.times.clear()
