"""What a run came to: figures, tables, files."""
