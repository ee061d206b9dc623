"""Likelihoods that are hard to maximise, each with the answer that is known without a search of this kind."""
