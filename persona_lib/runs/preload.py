"""Preload: what nearly every notebook imports; the process that `forks` forks kernels from imports this first."""

import gc
from importlib import import_module

import matplotlib

gc.disable()  # to look for garbage meanwhile takes a fifth more
matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"  # as in a kernel that imports it itself
for name in ("ipykernel.kernelapp", "openai", "pandas", "seaborn", "persona_lib.bench"):
    import_module(name)
import_module("pandas").set_option("display.max_columns", 20)  # its default in a notebook; here it thinks of a terminal
gc.freeze()
gc.enable()
