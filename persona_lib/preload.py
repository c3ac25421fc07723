"""Preload: what nearly every notebook imports; the process that `forks` forks kernels from imports this first."""

import gc
import os
from importlib import import_module

gc.disable()  # to look for garbage meanwhile takes a fifth more
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as a kernel does, and as early
for name in ("ipykernel.kernelapp", "openai", "pandas", "seaborn", "persona_lib.personas"):
    import_module(name)
import_module("pandas").set_option("display.max_columns", 20)  # its default in a notebook; here it thinks of a terminal
gc.freeze()
gc.enable()
