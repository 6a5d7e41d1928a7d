"""From signal to money, without actors: sizing, limits, orders, fills, ledger."""
