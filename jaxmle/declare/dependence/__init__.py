"""Models whose rows depend on each other: sets at risk, events that excite others, repeated measurements."""
