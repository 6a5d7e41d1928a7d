"""Alerts: what a person should hear of, carried to the services the person reads."""
