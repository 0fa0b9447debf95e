"""What a posted response means: pure rules of reading, sameness and merging."""
