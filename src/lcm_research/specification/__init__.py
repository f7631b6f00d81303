"""One question under many definitions: its curve, and what all of them say together."""
