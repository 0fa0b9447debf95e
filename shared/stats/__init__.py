"""Intervals for scores and shares: pure functions of counts and sums, with their sources.

They take what roll-ups hold, so that a page costs the same with ten answers and ten million.
"""
