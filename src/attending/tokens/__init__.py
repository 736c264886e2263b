"""Codes and values become tokens; histories become memory-mapped arrays."""
