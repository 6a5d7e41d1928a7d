#!/usr/bin/env python3
"""The command of SOS Actors: `python run_actors.py --help`."""

from sos_actors.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
