"""Transport: an endpoint's client and key, whether it would answer, and how calls reach it: one by one or in bulk."""
