"""What the commands do; ``services/cli`` only says how they are called."""
