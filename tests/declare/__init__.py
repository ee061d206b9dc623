"""Tests of the room `declare`."""
