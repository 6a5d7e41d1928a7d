#!/usr/bin/env python3
"""The command of SOS Actors: `python run_actors.py --help`."""

import sys

if __name__ == "__main__":
    try:
        from sos_actors.cli import main  # takes half a second, in which Ctrl-C may come

        raise SystemExit(main())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        raise SystemExit(130) from None
