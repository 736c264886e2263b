"""Simulate longitudinal hospital records whose truth is known."""
