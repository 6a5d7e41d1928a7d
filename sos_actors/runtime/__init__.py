"""The actor runtime: it knows nothing of trading."""
