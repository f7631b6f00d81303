"""Which channel is credited with a conversion, beyond its volume, on counts."""
