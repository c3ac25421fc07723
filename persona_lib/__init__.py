"""The helper package of the workbench: everything that computes, one module one job.

Data flows one way, from `attributes` down to `cli` (README.md has the list). Nothing is imported here, so
that `import persona_lib` costs nothing: a notebook names the modules it uses.
"""


class UserError(Exception):
    """What the user can mend: one line that says what is wrong and what to do; commands show only that."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in a notebook in place of a traceback."""
        return [f"UserError: {self}"]
