"""What all three services stand on: plumbing, events, identity, text, statistics, web."""
