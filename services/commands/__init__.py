"""What the commands do; ``services/cli.py`` only says how they are called."""
