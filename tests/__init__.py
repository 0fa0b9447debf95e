"""The tests: one folder a kind, helpers beside them."""
