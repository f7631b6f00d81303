"""The simulated brand: what is true of it (brand), who lives when (lives), what they do (events)."""
