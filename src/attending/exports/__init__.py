"""One file an export: events in, the files of another format out."""
