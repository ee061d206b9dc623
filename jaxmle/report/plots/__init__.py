"""Pictures of fits, one theme to a file."""
