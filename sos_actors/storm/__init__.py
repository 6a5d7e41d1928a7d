"""Whole sessions of the order path against the simulated exchange, with everything going wrong that can: by a seed."""
