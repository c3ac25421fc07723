"""Preload: import and read what nearly every notebook does. The process that `forks` forks kernels from runs this."""

import gc
from importlib import import_module

import matplotlib

gc.disable()  # collecting garbage between the imports takes a fifth more time
matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"  # as in a kernel that imports it itself
for name in ("ipykernel.kernelapp", "openai", "pandas", "seaborn", "persona_lib.bench"):
    import_module(name)
# In a notebook the default is 20; imported here, outside a kernel, pandas sets the default of a terminal.
import_module("pandas").set_option("display.max_columns", 20)
import_module("persona_lib.preferences.ingredients").draw("sample", "builtin", 1, 1)  # read the tables of people once
gc.freeze()
gc.enable()
