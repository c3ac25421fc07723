"""Submissions: folders of predictions, their check, boards, hidden demographics, and the forms of other tools."""
