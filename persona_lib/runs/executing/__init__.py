"""What a run does: notebooks executed side by side, in kernels, with workers; and the data set of a preset made."""
