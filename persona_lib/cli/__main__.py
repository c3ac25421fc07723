"""Let `python -m persona_lib.cli` be the command `persona`."""

from . import app

app()
