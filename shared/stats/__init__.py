"""Statistics as pure functions, with formulas and sources."""
