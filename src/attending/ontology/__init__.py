"""What codes mean: names, categories and groups."""
