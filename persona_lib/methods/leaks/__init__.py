"""Leaks: gates against them, what repeats across a split, and mistakes that move the accuracy of the same data."""
