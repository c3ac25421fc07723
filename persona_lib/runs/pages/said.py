"""What a run says while it goes on: a line for each notebook as it ends, and at the end one for what the run used."""

from collections.abc import Mapping
from typing import Any

from ...model.limits.usage import cost_text
from ...texts import counted
from ..planning import notebooks


def of_notebook(stem: str, entry: Mapping[str, Any]) -> str:
    """Return the line of a notebook: how it ended, what it took, and its headline or what went wrong.

    Args:
        stem: of the notebook.
        entry: of it in the manifest.
    """
    error = entry["error"]
    what = f"{error['name']}: {notebooks.as_seen(error['message'])}" if error else entry.get("headline", "")
    if entry.get("lost"):
        what = f"most items failed ({'; '.join(entry['lost'])})  {what}"
    took = f"{entry['seconds']:.0f} s" if entry["status"] != "not run" else ""
    return f"{entry['status']:8}{stem}  {took}  {what}".rstrip()


def of_workers(state: Mapping[str, Any], over: bool) -> str:
    """Return the line on the workers of a cluster: how far they are or, when the run is over, what they did.

    Args:
        state: from `cluster.Joined.state`.
        over: whether nothing is asked any more.
    """
    n, requests = counted(state["workers"], "worker"), counted(state["requests"], "request")
    if over:
        told = [f"{n}: {requests} in {counted(state['shards'], 'shard')}"]
    else:
        told = [f"{n} at {state['address']}: {state['asking']} asking"]
    if state["requests"]:
        told.append(f"{state['answered']:,} of {requests} answered" if not over else f"{state['answered']:,} answered")
    if state["repeated"]:
        told.append(f"{counted(state['repeated'], 'shard')} begun again")
    if state["lost"]:
        told.append(f"{counted(state['lost'], 'worker')} lost")
    return ", ".join(told)


def at_the_end(manifest: Mapping[str, Any]) -> str:
    """Return a line for each notebook that was not run, and one for what the run used."""
    own = {stem: entry for stem, entry in manifest["notebooks"].items() if entry["run"] == manifest["started"]}
    lines = [of_notebook(stem, entry) for stem, entry in own.items() if entry["status"] == "not run"]
    used = manifest["usage"]
    again = f" ({used['reasked']} of them asked again)" if used["reasked"] else ""
    lines.append(
        f"{manifest['seconds']:.0f} s, {counted(used['calls'], 'model call')}{again}, {used['cached']:,} found in the "
        f"store, {counted(used['failed'], 'failed item')}, {counted(used['tokens_in'] + used['tokens_out'], 'token')}, "
        f"{cost_text(used['cost'])}"
    )
    return "\n".join(lines)
