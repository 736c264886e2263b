"""Raw tables in, typed rows out, and an account of every physical line."""
