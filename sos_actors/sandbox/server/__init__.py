"""A local exchange that speaks Upstox: REST of both hosts, the market feed and the portfolio stream."""
