"""Worlds: people, prompts, candidate answers and choices, of simulated, real and synthetic people, in one format."""
