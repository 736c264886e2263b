"""Layers that models share, all over packed batches."""
