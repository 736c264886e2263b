"""Explainers, one file each: what each past event added to a prediction."""
