"""One module per model room; each function draws one result on one Axes."""
