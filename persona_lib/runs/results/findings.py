"""Findings: what a run's index and pages say first about each notebook: its answer, its state, what speaks against it.

Everything here is read from the manifest, so that it holds for a run of any model and for old manifests too.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from ... import local
from ...stats import wording
from ...texts import counted

# In the order of interest; notebooks that are not named follow.
ORDER = ("06", "05", "03", "04", "09", "07", "08", "10", "11", "12", "02", "01", "00")
CRITIC, AUDITS = "06_conditioning", "10_judges"  # the second says how far the critic of the first can be trusted
TRUST = "trust"  # the metric of the second that says so, in a sentence
# Parameters that make the critic: who it is, and what it is asked.
SAME = ("model", "base_url", "judge", "judge_base_url", "templates", "critique_words")
FEW = 30  # items; a finding that rests on fewer is said to
POINTS = " points"
NOTHING, MOST = "nothing scored", "more than half failed"  # states of a notebook that ended without an error


def trust(entries: Mapping[str, Any]) -> str | None:
    """Return how far the critic of 06 can be trusted as 10 found it; None without it, or if it audited another critic.

    Args:
        entries: the notebooks in a run's manifest.
    """
    critic, audits = (entry.get("kept", entry) for entry in (entries.get(stem, {}) for stem in (CRITIC, AUDITS)))
    named = [{name: entry.get("parameters", {}).get(name) for name in SAME} for entry in (critic, audits)]
    return audits.get("metrics", {}).get(TRUST) if named[0] == named[1] else None


def ordered(stems: Collection[str]) -> list[str]:
    """Return notebooks in the order of interest."""
    return sorted(stems, key=lambda stem: (_place(stem), stem))


def _place(stem: str) -> int:
    number = stem.partition("_")[0]
    return ORDER.index(number) if number in ORDER else len(ORDER)


def state(entry: Mapping[str, Any]) -> str:
    """Return the state of a notebook; what was done, but has no scores, is not called done.

    Args:
        entry: the notebook's entry in a manifest.
    """
    if entry["status"] != "done" or not (lost := entry.get("lost")):
        return entry["status"]
    return NOTHING if any(re.search(r": ([\d,]+) of \1 ", step) for step in lost) else MOST


def name(identity: Mapping[str, Any]) -> str:
    """Return a model's name as pages show it, from its `identity`."""
    return f"{identity['name']}, embedded" if is_embedded(identity) else identity["name"]


def is_embedded(identity: Mapping[str, Any]) -> bool:
    """Return whether a model has the weights of the embedded default."""
    return identity.get("weights_sha256") == local.GGUF_SHA256


def models(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the identities of the models that a notebook asked, each once."""
    asked = [model["identity"] for model in entry.get("models", ())]
    return [identity for i, identity in enumerate(asked) if identity not in asked[:i]]


def rows(entries: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the first table of a run's index: one row per notebook that has results, in the order of interest.

    Args:
        entries: the notebooks in the run's manifest.

    Returns:
        `stem`, `question` (the notebook's title), `says`, `value`, `interval` (empty without one), `n` (with what it
        counts, where the manifest says so), `against` (a list of sentences). A notebook that recorded no finding has
        its headline in `says`, and no value.
    """
    told = []
    for stem in ordered(entries):
        entry = entries[stem].get("kept", entries[stem])
        if "headline" not in entry:
            continue
        found = entry.get("finding") or {"says": entry["headline"], "value": None}
        value, low, high = (number(found.get(part), found.get("unit", "")) for part in ("value", "low", "high"))
        low = low.removesuffix(POINTS)  # said once, at the other end
        told.append(
            {
                "stem": stem,
                "question": entries[stem]["title"],
                "says": found["says"],
                "value": value,
                "interval": f"{low} to {high}" if low and high else "",
                "n": _rests_on(found),
                "against": against(stem, entries),
            }
        )
    return told


def _rests_on(found: Mapping[str, Any]) -> str:
    """Return a finding's n with what it counts, '199 items'; the number alone in a manifest of before."""
    if (n := found.get("n")) is None or not found.get("counts"):
        return number(n)
    return counted(n, found["counts"])


def number(value: float | None, unit: str = "") -> str:
    """Return a number as text, empty if it is missing: '58%', '+14 points' or three digits.

    Args:
        value: the number.
        unit: as in `record.Finding`.
    """
    if value is None:
        return ""
    if unit == "share":
        return wording.percent(value)
    if unit == "points":
        return wording.signed(100 * value, 0) + POINTS
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}".replace("-", "−")


def against(stem: str, entries: Mapping[str, Any]) -> list[str]:
    """Return what speaks against a notebook's finding, in sentences.

    Args:
        stem: the notebook.
        entries: the notebooks in the run's manifest.
    """
    entry = entries[stem].get("kept", entries[stem])
    found = entry.get("finding") or {}
    asked, given = models(entry), entry.get("parameters", {})
    said = ["The embedded model is far too small for conclusions."] if any(map(is_embedded, asked)) else []
    if "judge" in given and given.get("judge") in (None, given.get("model")) and asked:
        said.append("The model judges what it wrote itself.")
    said += [f"{step[0].upper()}{step[1:]}." for step in entry.get("lost", ())]
    if not entry.get("lost") and (failed := sum(step["failed"] for step in entry["steps"].values())):
        said.append(f"{counted(failed, 'item')} failed.")
    if found.get("value") is None and found:
        said.append("Nothing could be estimated.")
    if (n := found.get("n")) is not None and n < FEW:
        said.append(f"It rests on {_rests_on(found) if found.get('counts') else f'n = {n:,.0f}'}.")
    low, high = found.get("low"), found.get("high")
    if found.get("unit") == "points" and low is not None and high is not None and low <= 0 <= high:
        said.append("The interval holds no difference.")
    if note := found.get("against"):
        said.append(f"{note[0].upper()}{note[1:].rstrip('.')}.")
    if stem == CRITIC and (finding := trust(entries)):
        said.append(finding)
    return said
