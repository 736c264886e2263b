"""The mapping language: a YAML file that describes any folder of tables, compiled to a source."""
