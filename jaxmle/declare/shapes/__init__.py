"""Covariance matrices of the components of a mixture: what they have in common, and what is their own."""
