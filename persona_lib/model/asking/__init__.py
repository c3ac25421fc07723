"""Asking: a session for each ask, which speaks the endpoint's dialect, makes each call once and shows how far it is."""
