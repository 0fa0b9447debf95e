"""The three services, the composition root and the command line."""
