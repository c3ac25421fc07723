"""A trial: methods learn from the training people of a world, adapt to others from k choices, and predict the rest.

Contexts are nested: the choices of k = 2 are among those of k = 4. A method gets what it declares and nothing else: no
id, no test choice, no attribute that it does not ask for. What goes wrong is a row that says so.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from .. import UserError
from .cases import NOTHING, SHOWN, Case, Readied, Setting, cases, known_of, ready
from .costs import COSTS, Meter
from .method import Method, reason, title
from .person import Person
from .worlds.world import World, lines

SLOW = 3  # people over the limit, after which a method is not asked any more
# Matrices of a trial are small: several threads of BLAS or OpenMP (k-means) would mostly wait for each other, at up to
# eighty times the CPU.
one_thread = threadpool_limits.wrap(limits=1)
NOBODY = pd.Series(dtype=object)  # of whom nothing is known
COLUMNS = ("method", "k", "draw", "choice_id", "persona_id", "prompt_id", "p_first", "chosen", "failure")


@one_thread
def run(
    world: World,
    methods: Sequence[Method],
    setting: Setting | None = None,
    person_model: Any = None,
    say: Callable[[str], object] | None = None,
) -> pd.DataFrame:
    """Compare methods on one world.

    Args:
        world: from any of the makers of worlds.
        methods: made, not fitted.
        setting: sizes; by default `Setting()`.
        person_model: plays the people whom methods ask; None for the method's own model.
        say: gets a line for each method that took a second or more.

    Returns:
        One row per method, k, draw and tested choice: COLUMNS and COSTS. `p_first` is the predicted probability,
        `chosen` what the person did. A method that neither sees the history nor asks gives the same at each k.
        `failure` says why a prediction is missing: the method's error, its time, a person who has fewer than k choices
        or answers nothing.
        `calls` and `tokens` are what the method and the model that plays its people asked for this person at this k
        and draw, `fit_calls` and `fit_tokens` for all training people; see `costs.table`.

    Raises:
        UserError: as `ready`; two methods have one name.
    """
    readied = ready(world, setting or Setting())
    names = [title(type(method)) for method in methods]
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"two methods are named {', '.join(twins)}: rename one of them")
    tried = {True: list(cases(readied, readied.setting.ks)), False: list(cases(readied, (0,), 1))}
    tables = []
    for name, method in zip(names, methods, strict=True):
        began = time.monotonic()
        tables.append(_of_method(readied, tried, name, method, person_model))
        if say and (seconds := time.monotonic() - began) >= 1:
            say(f"{name}: done in {seconds:,.0f} s")
    table = pd.concat(tables).reset_index(drop=True)
    return table.astype({"method": pd.CategoricalDtype(names), "failure": "category"})


def fit(readied: Readied, method: Method) -> str | None:
    """Fit a method to the training people; return why it failed, or None."""
    choices = readied.choices
    learned = (choices["cell"] == "train") & choices["p_first"].notna()
    number, ids = pd.factorize(choices.loc[learned, "persona_id"])
    shown = choices.loc[learned, [*SHOWN, "p_first"]].reset_index(drop=True)
    shown.insert(0, "person", number)
    people = told_of(readied.world, method, ids).reset_index(drop=True).rename_axis("person")
    try:
        method.fit(shown, people)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        return f"fit failed: {reason(error)}"
    return None


def told_of(world: World, method: Method, ids: Sequence[str] | pd.Index) -> pd.DataFrame:
    """Return what a method may know of people: the columns that it declares, one row per id."""
    people = world.people.loc[ids].drop(columns="persona_split")
    attributes = people.drop(columns="profile", errors="ignore")
    known = attributes if "groups" in method.sees else attributes.iloc[:, :0]
    return known.assign(profile=profiles(people)) if "profile" in method.sees else known


def profiles(people: pd.DataFrame) -> pd.Series:
    """Return each person's profile as text, empty without any: the world's, or else the attributes as lines."""
    if "profile" in people:
        return people["profile"].fillna("")
    told = people.drop(columns="persona_split", errors="ignore")
    return pd.Series([lines(row) for _, row in told.iterrows()], people.index)


def adapted(method: Method, case: Case, known: pd.DataFrame, person: Person | None = None) -> Method:
    """Return a copy of a fitted method that has adapted to one case. It gets copies of tables, and no id.

    Args:
        method: fitted.
        case: to whom it adapts.
        known: of `told_of`, with a row of theirs.
        person: who answers its questions, of `asked`; None if it asks none. From now on they answer nothing.

    Raises:
        Exception: whatever `adapt` raises.
    """
    one = method.copy()
    if person:
        one.ask, one.choose, one.pool, one.questions = person.ask, person.choose, person.pool, person.left
    context = case.context.copy() if "history" in method.sees else NOTHING.copy(deep=False)
    # A row is named by the person's id.
    row = known.loc[case.persona_id].rename(None) if known.columns.size else NOBODY.copy(deep=False)
    one.adapt(context, row)
    if person:
        person.leave()  # or a question about the tested answers would tell the choice
    return one


def predicted(
    method: Method, case: Case, known: pd.DataFrame, person: Person | None = None
) -> tuple[np.ndarray, str | None]:
    """Return a fitted method's predictions for one case, and why some or all of them are missing.

    Args:
        method, case, known, person: as in `adapted`.
    """
    nothing = np.full(len(case.tests), np.nan)
    shown = [texts.copy() for texts in case.shown]
    for values in shown:
        values.flags.writeable = False
    try:
        p = np.asarray(adapted(method, case, known, person).prefer(*shown), dtype=float)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        return nothing, f"failed: {reason(error)}"
    if p.shape != nothing.shape:
        return nothing, f"returned {_many(p)} for {len(nothing)} choices"
    if (p < 0).any() or (p > 1).any():
        return nothing, f"returned a probability outside 0 to 1: {p[(p < 0) | (p > 1)][0]:g}"
    return p, "returned no number for this choice" if np.isnan(p).any() else None


def _many(p: np.ndarray) -> str:
    return f"{len(p)} predictions" if p.ndim == 1 else f"an array of shape {p.shape}"


def asked(readied: Readied, method: Method, person_model: Any = None) -> Callable[[Case], Person | None]:
    """Return what makes the person of a case, whom a method may ask; None where it asks nobody.

    They can be asked about one pair for each prompt of their history.

    Args:
        readied: the world and the setting.
        method: who asks.
        person_model: plays the person; None for the method's own model.
    """
    if "questions" not in method.sees:
        return lambda case: None
    tested = readied.choices.loc[readied.choices["cell"] == readied.setting.cell, "persona_id"].unique()
    texts, history = profiles(readied.world.people.loc[tested]), known_of(readied.choices, readied.setting)
    # Of several pairs about a prompt, the answer that stands in all of them would be known to be the chosen one.
    pairs = history[history["p_first"].notna()].drop_duplicates(["persona_id", "prompt_id"])
    chosen = pairs[[*SHOWN, "p_first"]].groupby(pairs["persona_id"])
    pools = {person: own.reset_index(drop=True) for person, own in chosen}
    plays = person_model or method.model
    return lambda case: Person(texts[case.persona_id], plays, case.k, pools.get(case.persona_id))


class Done(NamedTuple):
    """A case that was tried: what was predicted, why something is missing, and the calls and tokens it took (2,)."""

    case: Case
    p: np.ndarray
    failure: str | None
    used: np.ndarray


def _of_method(
    readied: Readied, tried: dict[bool, list[Case]], name: str, method: Method, person_model: Any
) -> pd.DataFrame:
    """Return the rows of one method; `tried` are the cases of those that know or ask something of a person, or not."""
    setting = readied.setting
    sees, asks = "history" in method.sees, "questions" in method.sees
    meter = Meter(method.model, person_model if asks else None)
    begun = meter.read()
    wrong = fit(readied, method)
    of_fit = meter.read() - begun
    known = told_of(readied.world, method, readied.world.people.index)
    person = asked(readied, method, person_model)
    todo = [case for case in tried[sees or asks] if not (asks and not sees and case.draw)]
    failures = [(case.failure if sees else None) or wrong for case in todo]
    slow: set[str] = set()

    def over(case: Case, seconds: float) -> bool:
        slow.update([case.persona_id] if seconds > setting.limit_s else [])
        return len(slow) >= SLOW

    def work(case: Case) -> tuple[np.ndarray, str | None]:
        return predicted(method, case, known, person(case))

    able = [case for case, failure in zip(todo, failures, strict=True) if not failure]
    told = meter.each(work, able, over)
    rows = []
    for case, failure in zip(todo, failures, strict=True):
        p, used = np.full(len(case.tests), np.nan), 0 * of_fit
        if not failure:
            found, took, used = next(told)
            if took > setting.limit_s:
                failure = f"it took {took:.0f} s for this person; the limit is {setting.limit_s:g} s"
            elif found is None:
                failure = f"not asked: it took over {setting.limit_s:g} s for each of {SLOW} people"
            else:
                p, failure = found
        rows.append(Done(case, p, failure, used))
    table = _table(readied, name, rows).assign(fit_calls=of_fit[0], fit_tokens=of_fit[1])[[*COLUMNS, *COSTS]]
    if not sees:
        table = pd.concat([table.assign(draw=draw) for draw in range(setting.draws)])
    return table if sees or asks else pd.concat([table.assign(k=k) for k in setting.ks])


def _table(readied: Readied, name: str, rows: list[Done]) -> pd.DataFrame:
    """Return predictions with COLUMNS, without what `fit` took."""
    sizes = [len(done.p) for done in rows]
    every = readied.choices[["choice_id", "persona_id", "prompt_id", "p_first"]]
    tests = every.loc[np.concatenate([done.case.tests.index for done in rows])]
    used = np.repeat([done.used for done in rows], sizes, axis=0)  # choices x 2
    table = tests.rename(columns={"p_first": "chosen"}).reset_index(drop=True)
    table = table.assign(
        method=name,
        k=np.repeat([done.case.k for done in rows], sizes),
        draw=np.repeat([done.case.draw for done in rows], sizes),
        p_first=np.concatenate([done.p for done in rows]),
        failure=np.repeat(np.array([done.failure for done in rows], dtype=object), sizes),
        calls=used[:, 0],
        tokens=used[:, 1],
    )
    table["failure"] = table["failure"].where(table["p_first"].isna(), None)
    return table
