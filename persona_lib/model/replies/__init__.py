"""Replies: what experiments may ask for, how a reply is read, its choices, asked again if broken, or made up."""
