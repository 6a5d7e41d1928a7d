"""The control socket: how a command line asks the running daemon, and tells it what to do."""
