"""Report: statements to people, in the terminal, in notebooks and as pictures."""
