"""Where table work runs."""
