"""REST, WebSocket and dashboard: an edge that looks on and, where it is allowed to, sends control messages."""
