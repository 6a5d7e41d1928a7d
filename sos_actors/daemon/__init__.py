"""The live daemon: everything that is made once, started in order, watched over, and stopped in order."""
