"""Samples as prefixes of stored histories, gathered into packed batches."""
