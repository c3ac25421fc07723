"""One function per figure: a tidy table in, the Axes out. Knows no model and no file. Used by every notebook.

All figures share one look: a colour-blind palette, text of 9 pt or more, a caption that says n.
"""

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes


def _axes(width: float = 7.0, height: float = 3.6) -> Axes:
    """Empty Axes in the shared look, sizes in inches."""
    sns.set_theme(style="whitegrid", palette="colorblind", font_scale=0.9, rc={"axes.titlelocation": "left"})
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def _caption(ax: Axes, text: str) -> Axes:
    """Write the caption (what is shown, n, the interval) under the whole figure and drop the frame."""
    sns.despine(ax=ax, left=True)
    ax.figure.supxlabel(text, fontsize=9, color="0.35", x=0.01, ha="left", wrap=True)
    return ax
