"""Models and baselines, one file each: the file name is the model's name."""
