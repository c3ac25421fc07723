"""Draw the figures of role-play: kappa matrices and histograms, agreement by person.

A table without a value gives a figure that says so.
"""

from collections.abc import Iterable, Mapping
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, MultipleLocator

from ..texts import counted
from . import style

NAMED = 12  # most people for whom a matrix names its rows and writes its values
DRAWN = 40  # most people for whom it is drawn cell by cell, each with its value on hover; a larger one is a picture
TALLEST = 8.0  # inches of rows; what would be taller is shown as a distribution


def matrices(kappas: Mapping[str, pd.DataFrame], title: str, named: pd.Series | None = None) -> Axes:
    """Draw kappa between all people as each judge plays them, a panel per judge (Fig. 8 of the paper).

    Args:
        kappas: judge -> square table, a result of `fidelity.between_people`.
        title: of the figure.
        named: each person in a few words, by id (`personas.handles`); without it people are numbered.

    Returns:
        The first panel's Axes.
    """
    panels = style.panels(len(kappas), 3.9 if _largest(kappas) <= NAMED else 3.5)
    for ax, (judge, square) in zip(panels, kappas.items(), strict=True):
        pairs = square.mask(np.eye(len(square), dtype=bool))
        few = len(square) <= NAMED
        names = _names(square.index, named) if len(square) <= DRAWN else False
        ax.set_facecolor("0.88")
        ax.grid(visible=False)
        if pairs.notna().any(axis=None):
            look = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1, "square": True, "rasterized": not names, "cbar": False}
            look |= {"annot": few, "fmt": ".2f", "annot_kws": {"size": 9}, "linewidths": 0.5 if few else 0}
            sns.heatmap(pairs, xticklabels=names, yticklabels=names, ax=ax, **look)
            ax.tick_params(labelbottom=few, labelleft=few and ax is panels[0])
            ax.tick_params(axis="x", labelrotation=90)
            ax.tick_params(axis="y", labelrotation=0)
        else:
            ax.set(xticks=[], yticks=[])
            style.blank(ax)
        ax.tick_params(labelsize=9)
        ax.set_title(style.plain(judge), fontsize=10)
        ax.set(xlabel="people" if not few else "", ylabel="people" if not few else "")
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


def by_person(
    tables: Mapping[str, pd.DataFrame],
    title: str,
    baseline: pd.Series | None = None,
    named: pd.Series | None = None,
) -> Axes:
    """Draw how far two judges agree in the role of each person (Figs. 6 and 7 of the paper).

    Args:
        tables: pair of judges -> result of `fidelity.between_judges`. Each person has a row, as long as all rows fit a
            page; else the figure shows each pair's distribution.
        title: of the figure.
        baseline: a kappa for each person to compare with, such as one rater's; its name says what it is.
        named: each person in a few words, by id (`personas.handles`); without it people are numbered.
    """
    rows = pd.concat(tables, names=["pair"]).reset_index() if tables else pd.DataFrame(columns=["pair", "kappa"])
    people = list(dict.fromkeys(rows["persona_id"])) if tables else []
    tall = (0.2 + 0.16 * max(1, len(tables))) * max(1, len(people))  # inches
    if tall > TALLEST:
        return _distributions(rows, title, len(people), baseline)
    ax = style.axes(height=2.1 + tall)
    step = 0.6 / max(1, len(tables))  # between the pairs of judges in a person's row
    row_of = {person: row for row, person in enumerate(people)}
    for i, (pair, own) in enumerate(rows.groupby("pair", sort=False)):
        y = own["persona_id"].map(row_of) + (i - (len(tables) - 1) / 2) * step
        ax.hlines(y, own["low"], own["high"], color=f"C{i}", linewidth=2)
        mark = style.MARKS[i % len(style.MARKS)]
        look: dict[str, Any] = {"marker": mark, "linestyle": "none", "color": f"C{i}", "markersize": 7}
        ax.plot(own["kappa"], y, label=f"kappa, {pair}", **look)
        ax.plot(own["raw"], y, fillstyle="none", **look)
    ax.plot([], [], "o", color="0.35", fillstyle="none", markersize=7, label="hollow: share of equal choices")
    if baseline is not None:
        look = {"color": "0.2", "markersize": 16, "markeredgewidth": 2}
        ax.plot(baseline.reindex(people), range(len(people)), "|", label=str(baseline.name), **look)
    n = rows.groupby("persona_id", sort=False)["n"].agg(["min", "max"]) if tables else pd.DataFrame()
    counts = [f"(n = {style.span(r['min'], r['max'])})" for _, r in n.iterrows()]
    labels = [f"{name}  {count}" for name, count in zip(_names(people, named), counts, strict=True)]
    ax.set_yticks(range(len(people)), labels)
    ax.set_ylim(max(1, len(people)) - 0.4, -0.6)
    _kappa_scale(ax, "Cohen's kappa, or share of equal choices")
    style.legend(ax, title, columns=1 if len(tables) > 1 else 2)
    if not (tables and rows[["kappa", "raw"]].notna().any(axis=None)):
        style.blank(ax)
    undefined = int(rows["kappa"].isna().sum())
    text = "One row per person; n: questions on which both judges chose. "
    text += f"Filled: Cohen's kappa and its 95% interval, {undefined} of {len(rows)} undefined."
    return style.caption(ax, text)


def _distributions(rows: pd.DataFrame, title: str, people: int, baseline: pd.Series | None) -> Axes:
    """Draw the agreement in the roles of many people: a box, points and a mean share per pair of judges."""
    parts = [(pair, own["kappa"], own["raw"].mean()) for pair, own in rows.groupby("pair", sort=False)]
    if baseline is not None:
        parts.append((str(baseline.name), baseline, np.nan))
    ax = style.axes(8.0, 1.9 + min(0.75, TALLEST / len(parts)) * len(parts))
    rng = np.random.default_rng(0)  # spreads the points; fixed, so that a figure is always the same
    for i, (_, kappas, raw) in enumerate(parts):
        known = kappas.dropna().to_numpy(float)
        box: dict[str, Any] = {"orientation": "horizontal", "showfliers": False, "medianprops": {"color": "0"}}
        ax.boxplot(known, positions=[i], widths=0.6, **box)
        spread = i + rng.uniform(-0.25, 0.25, len(known))
        ax.plot(known, spread, "o", color="C0", markersize=3, alpha=0.5, label="kappa of a person")
        ax.plot([raw], [i], "D", color="C1", markersize=8, fillstyle="none", label="mean share of equal choices")
    labels = [f"{fill(str(pair), 40)}\n({kappas.isna().sum()} undefined)" for pair, kappas, _ in parts]
    ax.set_yticks(range(len(parts)), [style.plain(label) for label in labels])
    ax.set_ylim(len(parts) - 0.5, -0.5)
    _kappa_scale(ax, "Cohen's kappa, or share of equal choices")
    style.legend(ax, title)
    n = counted(people, "person", "people")
    return style.caption(ax, f"n = {n}; a kappa is of a person's questions. Box: quartiles and median.")


def _kappa_scale(ax: Axes, label: str) -> None:
    """Draw the scale of kappas along x."""
    ax.set_xlim(-1.08, 1.08)
    ax.axvline(0, color="0.3", linewidth=1)
    ax.set_xlabel(label)
    ax.grid(axis="y", visible=False)


def _names(people: Iterable[object], named: pd.Series | None) -> list[str]:
    """Return each person's name in a few words, or their number: readers are told no ids."""
    known = {} if named is None else named.to_dict()
    return [style.plain(known.get(person, f"person {i}")) for i, person in enumerate(people, 1)]


def _largest(kappas: Mapping[str, pd.DataFrame]) -> int:
    """Return the number of people in the largest matrix."""
    return max(map(len, kappas.values()), default=0)


def _people(kappas: Mapping[str, pd.DataFrame]) -> str:
    """Return how many people and pairs the matrices have, as text."""
    n = _largest(kappas)
    return f"{counted(n, 'person', 'people')}, {counted(n * (n - 1) // 2, 'pair')}"


def _undefined(kappas: Mapping[str, pd.DataFrame]) -> str:
    """Return how many pairs have no kappa in each matrix, as text."""
    counts = [int(np.isnan(k.to_numpy(float)[np.triu_indices(len(k), 1)]).sum()) for k in kappas.values()]
    return " and ".join(f"{count}" for count in counts) + (" pairs, panel by panel" if len(counts) > 1 else " pairs")
