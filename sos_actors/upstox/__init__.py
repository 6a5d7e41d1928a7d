"""The broker's edge: login, REST, market feed and order stream, through the broker's own SDK."""
