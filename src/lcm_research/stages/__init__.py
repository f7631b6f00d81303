"""Where each customer stands in the lifecycle at the end of each period, by a scheme written as data."""
