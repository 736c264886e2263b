"""What is measured of a prediction: one file a family, numpy only."""
