"""Stock Pykka: how many messages a second pass through six threading actors in a row, and how many one actor is told.

Seven fresh processes give an honest spread; this script is one of them.
"""

import sys
import threading
from importlib.metadata import version

import pykka
from work import Report

STAGES = 6


class Stage(pykka.ThreadingActor):
    """Hands each number on; the last one counts and sets `done` after the last."""

    def __init__(self, following, count, done):
        super().__init__()
        self.following, self.left, self.done = following, count, done

    def on_receive(self, message):
        if self.following is not None:
            self.following.tell(message)
            return
        self.left -= 1
        if self.left == 0:
            self.done.set()


def pipeline(stages, count):
    """First actor of a row, and the event set when `count` messages have come out of it."""
    done, following = threading.Event(), None
    for _ in range(stages):
        following = Stage.start(following, count, done)
    return following, done


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    report = Report("pipeline", "pykka", pykka=version("pykka"))
    for what, stages in (("tell", 1), ("run", STAGES)):
        first, done = pipeline(stages, count)
        with report.timed(what):
            for number in range(count):
                first.tell(number)
            done.wait()
        pykka.ActorRegistry.stop_all()
    report.print(
        events=count,
        stages=STAGES,
        messages_per_s=round(count / report.fields["run_s"]),
        tells_per_s=round(count / report.fields["tell_s"]),
    )


if __name__ == "__main__":
    main()
