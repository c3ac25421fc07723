"""Draw the figures of role-play: kappa matrices and histograms, agreement by person, groups, coverage.

A table without a value gives a figure that says so.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, MultipleLocator, PercentFormatter

from . import style

NAMED = 12  # most people for whom a matrix names its rows and writes its values
MOST_ROWS = 40  # most people who have a row each


def matrices(kappas: Mapping[str, pd.DataFrame], title: str) -> Axes:
    """Draw kappa between all people as each judge plays them, a panel per judge (Fig. 8 of the paper).

    Args:
        kappas: judge -> square table, a result of `fidelity.between_people`.
        title: of the figure.

    Returns:
        The first panel's Axes.
    """
    panels = style.panels(len(kappas), 3.9 if _largest(kappas) <= NAMED else 3.5)
    for ax, (judge, square) in zip(panels, kappas.items(), strict=True):
        pairs = square.mask(np.eye(len(square), dtype=bool))
        pairs.index = pairs.columns = [str(i)[:6] for i in square.index]
        named = len(square) <= NAMED
        ax.set_facecolor("0.88")
        ax.grid(visible=False)
        if pairs.notna().any(axis=None):
            look = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1, "square": True, "rasterized": not named, "cbar": False}
            look |= {"annot": named, "fmt": ".2f", "annot_kws": {"size": 9}, "linewidths": 0.5 if named else 0}
            sns.heatmap(pairs, xticklabels=named, yticklabels=named, ax=ax, **look)
        else:
            ax.set(xticks=[], yticks=[])
            style.blank(ax)
        ax.tick_params(labelsize=9)
        ax.set_title(style.plain(judge), fontsize=10)
        ax.set(xlabel="people" if not named else "", ylabel="people" if not named else "")
    if drawn := [ax.collections[0] for ax in panels if ax.collections]:
        panels[0].figure.colorbar(drawn[0], ax=panels, label="Cohen's kappa", shrink=0.7)
    style.title(panels[0], title)
    return style.caption(panels[0], f"n = {_people(kappas)}. Grey: undefined ({_undefined(kappas)}), or the diagonal.")


def histograms(kappas: Mapping[str, pd.DataFrame], title: str) -> Axes:
    """Draw the distribution of the kappas between people, a panel per judge (Fig. 9 of the paper).

    Args:
        kappas: as in `matrices`.
        title: of the figure.

    Returns:
        The first panel's Axes.
    """
    panels = style.panels(len(kappas), 2.5)
    for ax, (judge, square) in zip(panels, kappas.items(), strict=True):
        values = square.to_numpy(float)[np.triu_indices(len(square), 1)]
        known = values[~np.isnan(values)]
        n = f"n = {len(values)} pairs, {len(values) - len(known)} undefined"
        ax.set_title(style.plain(f"{judge}  ({n})"), fontsize=10)
        ax.set(xlim=(-1.05, 1.05), xlabel="Cohen's kappa of two people", ylabel="pairs")
        ax.xaxis.set_major_locator(MultipleLocator(0.5))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        ax.grid(axis="x", visible=False)
        if len(known):
            # Bins are centred on round values, so that 0 and 1 do not lie on an edge.
            ax.hist(known, np.arange(-1.05, 1.06, 0.1).tolist(), color="C0", edgecolor="white")
            ax.axvline(known.mean(), color="C1", linewidth=2, linestyle=(0, (4, 2)))
        else:
            style.blank(ax)
    style.title(panels[0], title)
    return style.caption(
        panels[0], "Dashed line: mean. Kappa 0: as much agreement as by chance; 1: all choices are equal."
    )


def by_person(tables: Mapping[str, pd.DataFrame], title: str, baseline: pd.Series | None = None) -> Axes:
    """Draw how far two judges agree in the role of each person (Figs. 6 and 7 of the paper).

    Args:
        tables: pair of judges -> result of `fidelity.between_judges`. Up to MOST_ROWS people have a row each; for more
            people the figure shows each pair's distribution.
        title: of the figure.
        baseline: agreement among human raters for each person, on the scale of kappa.
    """
    rows = pd.concat(tables, names=["pair"]).reset_index() if tables else pd.DataFrame(columns=["pair", "kappa"])
    people = list(dict.fromkeys(rows["persona_id"])) if tables else []
    if len(people) > MOST_ROWS:
        return _distributions(rows, title, len(people))
    ax = style.axes(height=2.1 + (0.2 + 0.16 * max(1, len(tables))) * max(1, len(people)))
    step = 0.6 / max(1, len(tables))  # between the pairs of judges in a person's row
    row_of = {person: row for row, person in enumerate(people)}
    for i, (pair, own) in enumerate(rows.groupby("pair", sort=False)):
        y = own["persona_id"].map(row_of) + (i - (len(tables) - 1) / 2) * step
        ax.hlines(y, own["low"], own["high"], color=f"C{i}", linewidth=2)
        look: dict[str, Any] = {"marker": _mark(i), "linestyle": "none", "color": f"C{i}", "markersize": 7}
        ax.plot(own["kappa"], y, label=f"kappa, {pair}", **look)
        ax.plot(own["raw"], y, fillstyle="none", label="share of equal choices", **look)
    if baseline is not None:
        look = {"color": "0.2", "markersize": 16, "markeredgewidth": 2}
        ax.plot(baseline.reindex(people), range(len(people)), "|", label="human raters with each other", **look)
    n = rows.groupby("persona_id", sort=False)["n"].agg(["min", "max"]) if tables else pd.DataFrame()
    labels = [f"{person[:6]}  (n = {style.span(r['min'], r['max'])})" for person, r in n.iterrows()]
    ax.set_yticks(range(len(people)), labels)
    ax.set_ylim(max(1, len(people)) - 0.4, -0.6)
    ax.set_xlim(-1.08, 1.08)
    ax.axvline(0, color="0.3", linewidth=1)
    ax.set_xlabel("agreement")
    ax.grid(axis="y", visible=False)
    style.legend(ax, title, columns=2)
    if not (tables and rows[["kappa", "raw"]].notna().any(axis=None)):
        style.blank(ax)
    undefined = int(rows["kappa"].isna().sum())
    text = "One row per person; n: questions on which both judges chose. "
    text += f"Filled: Cohen's kappa and its 95% interval, {undefined} of {len(rows)} undefined. "
    return style.caption(ax, text + "Hollow: share of equal choices.")


def _distributions(rows: pd.DataFrame, title: str, people: int) -> Axes:
    """Draw the kappas of many people: a box and points per pair of judges."""
    pairs = list(rows["pair"].unique())
    ax = style.axes(height=1.9 + 0.6 * len(pairs))
    rng = np.random.default_rng(0)  # spreads the points; fixed, so that a figure is always the same
    for i, (_, own) in enumerate(rows.groupby("pair", sort=False)):
        known = own["kappa"].dropna().to_numpy(float)
        ax.boxplot(known, positions=[i], widths=0.6, orientation="horizontal", showfliers=False)
        ax.plot(known, i + rng.uniform(-0.25, 0.25, len(known)), "o", color="C0", markersize=3, alpha=0.5)
    ax.set_yticks(range(len(pairs)), map(style.plain, pairs))
    ax.set_ylim(len(pairs) - 0.5, -0.5)
    ax.axvline(0, color="0.3", linewidth=1)
    ax.set(xlim=(-1.08, 1.08), xlabel="Cohen's kappa", ylabel="")
    style.title(ax, title)
    return style.caption(
        ax, f"One point per person (n = {people}; {rows['kappa'].isna().sum()} kappas undefined). Box: quartiles."
    )


def groups(table: pd.DataFrame, title: str) -> Axes:
    """Draw the distance to the real answers, and the variety relative to them, in each group of respondents.

    Args:
        table: result of `caricature.distributions`.
        title: of the figure.

    Returns:
        The left panel's Axes.
    """
    sources, names = (list(dict.fromkeys(table.index.get_level_values(i))) for i in (0, 1))
    n = table.groupby(level=1, sort=False)["people"].max()
    panels = style.grid(1, 2, 2.2 + 0.42 * max(1, len(names)), sharey=True)
    looks = {"distance": ("distance to the real answers", 0), "variety": ("variety relative to the real answers", 1)}
    for panel, (column, (label, ideal)) in zip(panels, looks.items(), strict=True):
        for i, source in enumerate(sources):
            own = table.loc[source].reindex(names)
            y = np.arange(len(names)) + (i - (len(sources) - 1) / 2) * 0.5 / max(1, len(sources))
            panel.hlines(y, own[f"{column}_low"], own[f"{column}_high"], color=f"C{i}", linewidth=2)
            panel.plot(own[column], y, _mark(i), color=f"C{i}", markersize=7, label=source)
        panel.axvline(ideal, color="0.3", linewidth=1)
        panel.set_xlabel(label)
        panel.grid(axis="y", visible=False)
        values = table.get(column, pd.Series(dtype=float))
        widest = 1.08 * table[[column, f"{column}_high"]].max().max() if len(table) else 0.0
        panel.set_xlim(-0.04, max(1.04, widest))
        if not values.notna().any():
            style.blank(panel)
    panels[0].set_yticks(range(len(names)), [style.plain(f"{name}  (n = {n[name]:.0f})") for name in names])
    panels[0].set_ylim(max(1, len(names)) - 0.5, -0.5)
    sns.despine(ax=panels[1], left=True)
    style.legend(panels[0], title, columns=2)
    text = "n: respondents. Left: 0 means the group's own answers. Right: 1 means the group's own variety; below 1 the "
    text += "group is too uniform. Line: 95% interval, bootstrap over respondents. No line or point: not estimable."
    return style.caption(panels[0], text)


def coverage(table: pd.DataFrame, title: str, marks: pd.Series | None = None) -> Axes:
    """Draw how often answers are right if the less confident ones are left out.

    Args:
        table: result of `evaluation.coverage`.
        title: of the figure.
        marks: baselines that answer everything: name -> share right.
    """
    ax = style.axes(height=3.9)
    for i, (source, own) in enumerate(table.groupby("source", sort=False)):
        x = own["coverage"] + 0.008 * i  # side by side, or intervals would hide each other
        ax.plot(x, own["accuracy"], _mark(i), linestyle="-", color=f"C{i}", markersize=6, label=source)
        ax.vlines(x, own["low"], own["high"], color=f"C{i}", linewidth=1.5, alpha=0.6)
    dashes = [(0, (4, 2)), (0, (1, 1.5))]
    for i, (name, share) in enumerate(dict(marks if marks is not None else {}).items()):
        ax.axhline(share, color="0.35", linewidth=1.5, linestyle=dashes[i % 2], label=name)
    ax.set(xlim=(0, 1.04), ylim=(-0.03, 1.03))
    ax.set_xlabel("share of questions answered, most confident first")
    ax.set_ylabel("share right")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    style.legend(ax, title, columns=2)
    if table.empty:
        style.blank(ax)
    n = f"{table['n'].min()} to {table['n'].max()}" if len(table) else "0"
    text = "Line through a point: 95% interval, computed as for all answers."
    return style.caption(ax, f"n = {n} answers from left to right. {text}")


def _mark(series: int) -> str:
    """Return the marker of a series."""
    return style.MARKS[series % len(style.MARKS)]


def _largest(kappas: Mapping[str, pd.DataFrame]) -> int:
    """Return the number of people in the largest matrix."""
    return max(map(len, kappas.values()), default=0)


def _people(kappas: Mapping[str, pd.DataFrame]) -> str:
    """Return how many people and pairs the matrices have, as text."""
    n = _largest(kappas)
    return f"{n} people, {n * (n - 1) // 2} pairs"


def _undefined(kappas: Mapping[str, pd.DataFrame]) -> str:
    """Return how many pairs have no kappa in each matrix, as text."""
    counts = [int(np.isnan(k.to_numpy(float)[np.triu_indices(len(k), 1)]).sum()) for k in kappas.values()]
    return " and ".join(f"{count}" for count in counts) + (" pairs, panel by panel" if len(counts) > 1 else " pairs")
