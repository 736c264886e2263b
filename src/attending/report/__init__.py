"""Artifacts → a report that people can read: tables, figures, timelines, one HTML file. No torch."""
