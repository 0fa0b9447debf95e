"""Words and their stems, for texts in any language: used by themes and by the blind index.

``tokens`` finds the words and where they stand, ``stems`` folds their endings, ``language``
guesses which language somebody wrote in, ``background`` says which words are common anyway.
"""
