"""FHIR R4 resources as rows and events; `sources.fhir` puts the parts together."""
