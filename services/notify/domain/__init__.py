"""What notify decides, as pure functions: verdicts, waits, addresses and bodies."""
