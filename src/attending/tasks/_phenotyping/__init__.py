"""Parts of the task `phenotyping`: the 25 conditions."""
