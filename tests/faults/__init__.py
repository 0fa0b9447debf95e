"""Breaking things on purpose: the process dies, and nothing that was answered is lost."""
