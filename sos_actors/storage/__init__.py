"""SQLite through apsw: market data in day blocks, trades, state."""
