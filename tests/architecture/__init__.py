"""Promises about the repository itself, held by a few lines each."""
