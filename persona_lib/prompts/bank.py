"""The questions that are put to models: the built-in bank, PRISM, files of the user's own; splits, and draws from them.

The bank, data/prompts.csv, holds value-laden questions on which Americans disagree, in our own words, and control
questions on which it should not matter who asks. The person who asks stays open: no question fixes the asker's age,
sex, race, faith, marriage, children or job, so that every persona can ask every question. Used by 02_prompts and by
every notebook that asks a model.

There are two ways to hold prompts out, each for one purpose. `load` splits by the hash of each text: nothing moves
when a set grows. `split` holds out an exact number, spread evenly over topics: for a set that is closed, such as PRISM.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, files, seeds

BANK = Path(__file__).with_name("data") / "prompts.csv"
CONTROL = "control"  # the topic of the bank's control questions, and the source that loads them
PRISM = "HannahRoseKirk/prism-alignment"  # Kirk et al. 2024, arXiv 2404.16019; prompts are CC-BY-4.0
SUFFIXES = (".csv", ".jsonl", ".parquet")
COLUMNS = ["prompt_id", "prompt", "topic", "source", "prompt_split"]
NO_TOPIC = "no topic"  # until `topics.assign` gives one
SPLITS = ("train", "heldout")

HELDOUT_SHARE = 868 / 3868  # the paper's (section 3.2)

# A question's side is decided by the hash of its own text alone, so it stays where it is whatever joins, leaves
# or is reordered; quotas within a topic would be exactly even, but new questions would move old ones. The evenness
# that a hash lacks was made twice. The seed is the smallest that holds out one or two of the bank's first six questions
# in each of 31 topics (rerandomization, Morgan & Rubin 2012); another seed is another split. Later questions were
# chosen from more candidates, by their hash, so that three of thirteen are held out in each topic.
SPLIT_SEED = 7751722


def load(source: str = "builtin", path: str | Path | None = None) -> pd.DataFrame:
    """Return a source's questions: prompt_id, prompt, topic, source, prompt_split ('train' or 'heldout').

    Args:
        source: 'builtin' (the bank without its controls), 'control' (20 questions of fact on which it should not matter
            who asks), 'prism', or a .csv, .jsonl or .parquet file with a column `prompt`. A file's own columns
            `prompt_id`, `topic`, `source` and `prompt_split` are kept, as is what else it has.
        path: for 'prism' the published conversations.jsonl; None fetches it from the Hugging Face hub.

    `prompt_id` and `prompt_split` depend on the text alone. PRISM has a row per conversation, in which some opening
    prompts repeat and a few are empty (`screening.formal` marks them), `conversation_id` and `conversation_type`.

    Raises:
        UserError: an unknown source; a file that can't be read, has no column `prompt`, rows without a prompt or with
            the same id; no network or no package `datasets` for the hub.
    """
    if path is not None and source != "prism":
        raise UserError(f"a path goes with the source 'prism', not with {source!r}: give a file of your own as source")
    if source in ("builtin", CONTROL):
        bank = pd.read_csv(BANK)
        return _table(bank[(bank["topic"] == CONTROL) == (source == CONTROL)], source)
    if source == "prism":
        return _table(_prism(path), source)
    if Path(source).suffix in SUFFIXES:
        return _own(Path(source))
    raise UserError(
        f"no prompt source {source!r}: choose one of builtin, {CONTROL}, prism, or a file ({', '.join(SUFFIXES)})"
    )


def sample(prompts: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """Draw n of the prompts (columns as from `load`), one of each topic in turn, topics in random order.

    The draw depends on the prompts and the seed, not on the order of rows. A larger n only adds to it, so that no
    reply already in store is lost. Raises UserError when n is below 1 or above the number of prompts, or for a seed
    that is none.
    """
    seeds.check_seed(seed)
    size = len(prompts)
    if not 1 <= n <= size:
        raise UserError(f"cannot draw {n} of {size} prompts: choose a number from 1 to {size}")
    random = seeds.rng("prompts sampled", seed)
    shuffled = prompts.sort_values("prompt_id").sample(frac=1, random_state=random)
    turn = shuffled.groupby("topic").cumcount()
    topics = random.permutation(sorted(set(prompts["topic"])))
    place = shuffled["topic"].map({topic: i for i, topic in enumerate(topics)})
    return shuffled.iloc[np.lexsort((place, turn))[:n]].reset_index(drop=True)


def split(prompts: pd.DataFrame, heldout: int, by: str = "topic", seed: int = 0) -> pd.DataFrame:
    """Hold out exactly so many prompts, from each topic its share (give or take one): systematic sampling.

    The paper splits 3,868 prompts into 3,000 and 868 (section 3.2). A topic's share of the held-out prompts and its
    share of the train prompts differ by less than 1 / heldout + 1 / train, 0.15 percentage points at the paper's size.

    Args:
        prompts: columns as from `load`, ids unique.
        heldout: how many to hold out, between 1 and all but one.
        by: the column to spread over.
        seed: of the draw, which does not depend on the order of rows.

    Returns:
        The prompts with `prompt_split` set anew. Unlike the split of `load`, it changes when prompts join or leave.

    Raises:
        UserError: there are not that many to hold out, ids repeat, or the seed is none.
    """
    seeds.check_seed(seed)
    n = len(prompts)
    if not 0 < heldout < n:
        raise UserError(f"cannot hold out {heldout} of {n} prompts: choose a number from 1 to {n - 1}")
    _check_ids(prompts, "the prompts to split")
    random = seeds.rng("prompts held out", seed)
    shuffled = prompts.reset_index(drop=True).sort_values("prompt_id").sample(frac=1, random_state=random)
    order = shuffled.sort_values(by, kind="stable").index
    upto = np.arange(n + 1) * heldout // n
    side = pd.Series(np.where(np.diff(upto), "heldout", "train"), order).sort_index()
    return prompts.assign(prompt_split=side.to_numpy())


def balance(prompts: pd.DataFrame, by: str = "topic") -> pd.DataFrame:
    """How even a split is: index `by`, columns `train` and `heldout` (prompts), `difference` of their shares.

    `difference` is the topic's share of the held-out prompts minus its share of the train ones, in percentage points.
    """
    counts = pd.crosstab(prompts[by], prompts["prompt_split"]).reindex(columns=list(SPLITS), fill_value=0)
    shares = counts / counts.sum()
    return counts.assign(difference=100 * (shares["heldout"] - shares["train"])).rename_axis(columns=None)


def _table(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """The columns that every prompt has, filled in where the rows lack them, and then what else the rows have."""
    text = rows["prompt"]
    made = {"prompt_id": text.map(_id), "topic": NO_TOPIC, "source": source, "prompt_split": text.map(_split)}
    own = rows.reindex(columns=list(made)).astype(object).replace("", None)
    table = rows.assign(**own.fillna(pd.DataFrame(made)).astype("str")).reset_index(drop=True)
    return table[[*COLUMNS, *(c for c in table if c not in COLUMNS)]]


def _prism(path: str | Path | None) -> pd.DataFrame:
    fields = ["opening_prompt", "conversation_id", "conversation_type"]
    if path is None:
        rows = _hub(fields)
    else:
        rows = pd.DataFrame(
            [{f: line[f] for f in fields if f in line} for line in files.read_lines(Path(path))], columns=fields
        )
        if rows["opening_prompt"].isna().all():
            raise UserError(f"{path} has no 'opening_prompt': it should be PRISM's conversations.jsonl")
    return rows.rename(columns={"opening_prompt": "prompt"}).fillna({"prompt": ""})


def _hub(fields: list[str]) -> pd.DataFrame:
    """PRISM's conversations from the Hugging Face hub, through its own package."""
    other = f"or download conversations.jsonl from https://huggingface.co/datasets/{PRISM} and give its path"
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise UserError(f"PRISM from the hub needs `pip install datasets`, {other}") from error
    try:
        return load_dataset(PRISM, "conversations", split="train").select_columns(fields).to_pandas()
    except Exception as error:  # each of its layers (hub, HTTP, parquet) has exceptions of its own
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"PRISM can't be had from the hub ({reason}): check the network, {other}") from error


def _own(path: Path) -> pd.DataFrame:
    """A file of the user's own, refused where it could not be told later which prompt is which."""
    rows = files.read_table(path)
    if "prompt" not in rows:
        raise UserError(f"{path} has no column 'prompt': it has {', '.join(map(str, rows.columns)) or 'none'}")
    bad = [i for i, text in enumerate(rows["prompt"], 1) if not isinstance(text, str) or not text.strip()]
    if bad:
        raise UserError(f"{path} has no text as prompt in {_rows(bad)}: fill it in or leave the row out")
    table = _table(rows, path.name)
    if wrong := sorted(set(map(str, table["prompt_split"])) - set(SPLITS)):
        raise UserError(f"{path} has prompt_split {', '.join(wrong)}: it takes {' or '.join(SPLITS)}")
    _check_ids(table, str(path))
    return table


def _check_ids(table: pd.DataFrame, where: str) -> None:
    """Fail on ids that repeat, and name the rows of the first."""
    again = table["prompt_id"].duplicated(keep=False)
    if again.any():
        first = table.loc[again, "prompt_id"].iloc[0]
        same = np.flatnonzero(table["prompt_id"] == first) + 1
        raise UserError(
            f"{where}: {_rows(list(same))} have the same prompt_id '{first}', and {again.sum()} rows in all share "
            "an id: each prompt needs one of its own (the id is the text's hash where no column prompt_id gives it)"
        )


def _rows(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
    return f"row {shown}" if len(numbers) == 1 else f"rows {shown}"


def _id(prompt: str) -> str:
    return "q" + seeds.digest(prompt, 8)


def _split(prompt: str) -> str:
    return "heldout" if int(seeds.digest(f"{SPLIT_SEED}:{prompt}", 8), 16) < HELDOUT_SHARE * 16**8 else "train"
