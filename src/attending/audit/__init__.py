"""The leakage firewall: ten checks of a study's own artifacts, one file each."""
