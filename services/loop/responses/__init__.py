"""What was received: the facts, their categories and the score roll-ups."""
