"""Events as FHIR R4 resources; `exports.fhir` writes them."""
