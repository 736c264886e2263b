"""The tables of MIMIC-III, by what they record; `sources.mimic3` puts them together."""
