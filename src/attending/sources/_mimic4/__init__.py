"""The tables of MIMIC-IV, a file for each part of the hospital's record; `sources.mimic4` puts them together."""
