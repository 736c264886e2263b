"""Runs side by side: the same samples for all, one table, written for people, papers and machines."""
