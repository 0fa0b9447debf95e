"""Sources: what each has sent, what became of it, and how it is read."""
