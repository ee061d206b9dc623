"""Infer: from a solution to statements, and to the proof that it is one."""
