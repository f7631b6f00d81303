"""From a user's files to canonical tables, and from those to additive counts."""
