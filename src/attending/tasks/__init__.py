"""Tasks, one file each: events to labels, without a look past the prediction time."""
