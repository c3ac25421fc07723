"""What a run leaves in its folder: its manifest and its findings, and how folders are read, compared and replaced."""
