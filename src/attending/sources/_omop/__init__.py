"""The tables of the OMOP common data model, by what is read of them; `sources.omop` puts them together."""
