"""What every adapter of a port promises, written once."""
