"""What a notebook reports: tables as readers see them, numbers beside the paper's, limits, and what it records."""
