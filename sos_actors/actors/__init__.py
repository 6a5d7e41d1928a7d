"""The cast, one file a role."""
