"""`run_actors.py` itself: what happens before the program is there."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_an_interrupt_while_the_program_loads_is_one_line(tmp_path):
    shutil.copy(ROOT / "run_actors.py", tmp_path)
    (tmp_path / "sos_actors").mkdir()
    (tmp_path / "sos_actors" / "__init__.py").write_text("")
    (tmp_path / "sos_actors" / "cli.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run([sys.executable, "run_actors.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")
