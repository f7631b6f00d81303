"""How long customers stay: spells from purchases, survival curves, hazards and what they rest on."""
