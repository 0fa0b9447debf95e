"""The rules of follow-up: what opens a task, until when, and what may be done with it."""
