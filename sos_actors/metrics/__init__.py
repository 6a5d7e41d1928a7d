"""Metrics: the daemon's figures for Prometheus."""
