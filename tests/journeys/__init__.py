"""Stories through the front door, on both footings, with real processes and real servers."""
