"""Events as rows of the OMOP common data model; `exports.omop` writes them."""
