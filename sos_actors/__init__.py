"""SOS Actors: the Scalping Orchestration System as an actor runtime."""

__version__ = "0.1.0"
