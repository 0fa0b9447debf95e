"""What customers talk about: the taxonomy of themes, and which verbatim touches which."""
