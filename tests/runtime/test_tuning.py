"""The interpreter's settings, in a process of their own: they hold for all of it."""

import subprocess
import sys

PROGRAM = """
import gc
from sos_actors.runtime.tuning import SWITCH_S, sweep, tune_for_latency
import sys

class Knot:
    def __init__(self):
        self.own = self

tune_for_latency()
assert abs(sys.getswitchinterval() - SWITCH_S) < 1e-6
assert gc.isenabled() and gc.get_threshold()[2] > 10_000
knot = Knot()
del knot
frozen = gc.get_freeze_count()
assert any(isinstance(one, Knot) for one in gc.get_objects())
sweep()
assert not any(isinstance(one, Knot) for one in gc.get_objects())
assert gc.get_freeze_count() >= frozen
"""


def test_what_a_day_leaves_in_cycles_goes_at_the_sweep():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


THROUGHPUT = """
import gc
from sos_actors.runtime.tuning import tune_for_throughput

thresholds = gc.get_threshold()
tune_for_throughput()
assert gc.isenabled()
assert all(now > then for now, then in zip(gc.get_threshold(), thresholds))
"""


def test_a_process_that_runs_through_is_seldom_held_up_by_the_collector():
    done = subprocess.run([sys.executable, "-c", THROUGHPUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
