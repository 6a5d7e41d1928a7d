"""Strategy files: schema, expression compiler, phase machine."""
