"""The order gateway: decides what is sent to a real broker, and finds out what became of it. Pure; no clock, no I/O."""
