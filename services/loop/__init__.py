"""Turns responses into follow-up tasks and themes: the inner and the outer loop."""
