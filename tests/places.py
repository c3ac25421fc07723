"""Where the project and the census microdata lie."""

import os
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("PERSONA_SHARED", ROOT.parent / "shared"))
