"""Models of labels: unordered, ordered, and chosen among the rows of a group."""
