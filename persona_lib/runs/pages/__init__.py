"""What readers open: pages of notebooks, runs, items and comparisons, a run as one file, and items in JupyterLab."""
