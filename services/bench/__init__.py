"""Measures this machine: what the program does a second, against baselines of the same run."""
