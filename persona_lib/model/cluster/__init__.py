"""Cluster: an ask is cut into shards, workers on this machine or others ask them, and their replies come back."""
