"""How long customers stay: spells, curves and hazards, on counts."""
