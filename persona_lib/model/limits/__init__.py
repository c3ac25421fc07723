"""Limits: the budgets of calls and costs, the pace of each endpoint, both shared by a run, and what calls have used."""
