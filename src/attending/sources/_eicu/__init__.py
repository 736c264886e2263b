"""The tables of eICU, by what they record; `sources.eicu` puts them together."""
