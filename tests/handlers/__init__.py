"""Use cases over a real database, without a bus and without a server."""
