"""The distributions that families are made of, one class each."""
