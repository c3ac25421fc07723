"""The helper package of the workbench: everything that computes, one module one job.

Data flows one way, from `attributes` down to `cli`; README.md has the list. This file stays empty of imports so that
`import persona_lib` costs nothing: a notebook names the modules it uses.
"""


class UserError(Exception):
    """What the user can mend: the message says in one line what is wrong and what to do; commands show only that."""
