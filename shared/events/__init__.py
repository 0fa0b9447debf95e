"""What happened, as facts: the only thing that the services know of each other."""
