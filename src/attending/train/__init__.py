"""Training: one loop for every model that has gradients."""
