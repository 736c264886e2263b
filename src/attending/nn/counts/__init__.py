"""Sparse features of histories, and linear regressions on them: the parts of the count baselines."""
