"""Methods on the command line: trials of them, submissions and their rounds, and the page of a leaderboard."""
