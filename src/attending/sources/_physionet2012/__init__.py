"""How the records of the 2012 challenge are read."""
