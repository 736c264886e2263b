"""Ways to divide subjects into train, tuning and held-out, one file each: what is known of a subject, to its split."""
