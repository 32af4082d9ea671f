"""What to run: launch specs rendered from an offer's answers."""
