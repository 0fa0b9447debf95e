"""Sample data of an invented company, and its player: everything goes through the real API."""
