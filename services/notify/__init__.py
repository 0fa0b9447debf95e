"""Tells people by mail and systems by webhook, and remembers every attempt."""
