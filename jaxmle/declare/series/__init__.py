"""Models of series: rows that depend on the rows before them."""
