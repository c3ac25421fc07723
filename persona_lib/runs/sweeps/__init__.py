"""Sweeps: one preset at many points, each a run, with one table, figure and page over all."""
