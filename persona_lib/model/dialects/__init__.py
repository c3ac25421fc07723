"""Dialects: the forms of request that endpoints take, found out from their replies and kept for the next process."""
