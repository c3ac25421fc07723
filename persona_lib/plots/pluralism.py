"""Draw the pluralisms of methods: who finds what was written for whom represents them."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from . import style

MOST_NAMED = 40  # people or groups whose names can be read


def matrix(table: pd.DataFrame, title: str, named: pd.Series | None = None) -> Axes:
    """Draw the mean rating by each person, or group, of what was written for each.

    Args:
        table: of `methods.pluralism.matrix`: index `written_for`, columns `persona_id`, ratings from 1 to 5.
        title: of the figure.
        named: each person in a few words, by id (`personas.handles`); groups go by their own names.
    """
    ax = style.axes(6.4, 5.6)
    ax.grid(visible=False)
    known = {} if named is None else named.to_dict()
    names = [style.plain(known.get(name, name)) for name in table.columns] if len(table) <= MOST_NAMED else False
    bar = {"label": "mean rating: how far the answer represents one's view", "shrink": 0.7}
    look = {"cmap": "rocket_r", "vmin": 1, "vmax": 5, "square": True, "cbar_kws": bar}
    if len(table):
        sns.heatmap(table.to_numpy(float), xticklabels=names, yticklabels=names, ax=ax, **look)
        ax.tick_params(axis="x", labelrotation=90 if len(table) > 4 else 0)
    ax.set(xlabel="judged by", ylabel="written for")
    style.title(ax, title)
    style.blank(ax, table.stack() if len(table) else None)
    text = f"n = {len(table):,}. On the diagonal everybody judges what was written for them. White: not rated."
    return style.caption(ax, text)
