"""The helper package of the workbench. Each folder is a wing; a wing imports only from the lines below it.

    cli                                                 the command `persona`
    runs                                                notebooks of a preset executed; pages, estimates
    bench | fidelity | annotation                       PERSONA Bench; role-play beside people; the human study
    preferences                                         preference pairs and the data set made of them
    judges                                              verdicts, and how far to trust them
    personas | prompts                                  who asks, and what they ask
    model                                               language models, with the response store in front
    census | store | stats | plots | local | templates  what knows no model
    files | seeds | attributes                          files read and written, random streams, the 33 attributes

A notebook opens wings, never their rooms: `from persona_lib import bench, personas, stats`. Nothing is imported here,
so `import persona_lib` costs nothing. A contract of import-linter in pyproject.toml checks the direction.
"""


class UserError(Exception):
    """An error that the user can correct: one line says what is wrong and what to do. Commands show only that line."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in a notebook in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class LimitError(UserError):
    """An endpoint's limit is reached, such as calls a day; the same command goes on later. Commands exit with 3."""


class BudgetError(UserError):
    """A limit on calls or on cost is reached, so that no further call may start. A run ends with it."""


class EndpointError(UserError):
    """No call can succeed: the address, key or model is wrong, or nothing answers there. A run ends with it."""
