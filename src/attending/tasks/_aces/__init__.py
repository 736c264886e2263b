"""The ACES task language: what a file says, and the executor that finds its samples in a record."""
