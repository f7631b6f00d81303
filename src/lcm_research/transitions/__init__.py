"""How customers move between stages, on counts."""
