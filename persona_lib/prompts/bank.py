"""Prompts: load the built-in bank, PRISM or a user's file; their split into train and held-out; draw a sample.

The bank, data/prompts.csv, has value-laden questions on which Americans disagree, written for this project, and control
questions of fact, where it should not matter who asks. Its column `voice` tells an essayist's questions from those in
everyday voices. The asker stays open: no question implies the asker's age, sex, race, religion, marital status,
children or job. Every persona can therefore ask every question.

A prompt's id and its side of the split depend on its text alone, whatever its white space: no prompt changes sides when
a set grows, and none is to train in one data set and held out in another.
"""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import UserError, files, seeds, tables

BANK = Path(__file__).with_name("data") / "prompts.csv"
CONTROL = "control"  # the topic of the bank's control questions, and the source that loads them
PRISM = "HannahRoseKirk/prism-alignment"  # Kirk et al. 2024, arXiv 2404.16019; prompts are CC-BY-4.0
PRISM_SOURCE = "prism"  # its name as a source, and in the column `source`
COLUMNS = ["prompt_id", "prompt", "topic", "source", "prompt_split"]
NO_TOPIC = "no topic"  # until `topics.assign` gives one
SPLITS = ("train", "heldout")
HELDOUT_NAMES = ("heldout", "held out", "test", "unseen")  # how files name the held-out side, by `tables.spelling`

NO_WIDTH = dict.fromkeys([0x200B, 0x2060, 0xFEFF])  # signs that nobody sees, for str.translate

HELDOUT_SHARE = 868 / 3868  # the paper's (section 3.2)

# The hash of a prompt's own text decides its side, so the prompt keeps its side when others join, leave or are
# reordered. Quotas per topic would be exactly even, but new questions would move old ones. A hash alone is uneven; two
# choices corrected that. The seed is the smallest that holds out one or two of the bank's first six questions in each
# of 31 topics (rerandomization, Morgan & Rubin 2012); another seed is another split. Later questions were chosen by
# their hash from a larger set of candidates, which holds out four of eighteen in each topic.
SPLIT_SEED = 7751722


def load(source: str | Path = "builtin") -> pd.DataFrame:
    """Return the prompts of a source: `prompt_id`, `prompt`, `topic`, `source`, `prompt_split` (train or heldout).

    `prompt_id` and `prompt_split` depend on the normalized text alone (see `normal`). 868 of 3,868 are expected on the
    held-out side, as in the paper's section 3.2; counts vary by chance.

    Args:
        source: 'builtin' (the bank without its controls), 'control' (20 questions of fact, where it should not matter
            who asks), 'prism' (downloaded from the Hugging Face hub), or a file that `files.read_table` reads: PRISM's
            conversations, in any of its forms, or any table with a column `prompt`, which keeps its own `prompt_id`,
            `topic`, `source` and `prompt_split`, in whatever spelling, and all its other columns.

    Returns:
        One row per prompt. PRISM has one row per conversation, with `conversation_id` and `conversation_type`. Some of
        its opening prompts repeat and a few are empty; `screening.formal` marks them.

    Raises:
        UserError: an unknown source; a file that cannot be read, lacks the column `prompt`, has rows without a prompt
            or repeats an id; for the hub, no network or no package `datasets`.
    """
    if source in ("builtin", CONTROL):
        bank = pd.read_csv(BANK)
        is_control = bank["topic"] == CONTROL
        return _table(bank[is_control if source == CONTROL else ~is_control], str(source))
    if is_prism(source):
        return _table(_prism(None if source == PRISM_SOURCE else Path(source)), PRISM_SOURCE)
    if files.is_table(source):
        return _own(Path(source))
    raise UserError(
        f"no prompts {str(source)!r}: choose builtin, {CONTROL}, {PRISM_SOURCE}, or a file ({', '.join(files.TABLES)})"
    )


def is_prism(source: str | Path) -> bool:
    """Return whether a source is PRISM: by its name, or a table by its columns."""
    if source == PRISM_SOURCE:
        return True
    try:
        return "opening prompt" in map(tables.spelling, files.columns(source))
    except UserError:
        return False  # the error is raised where the whole file is read


def unused(source: str | Path) -> list[str]:
    """Return the columns of a user's file of prompts that no experiment reads, as they are written there.

    Raises:
        UserError: as `files.columns`.
    """
    if not files.is_table(source) or is_prism(source):
        return []
    ours = set(map(tables.spelling, COLUMNS))
    return [name for name in files.columns(source) if tables.spelling(name) not in ours]


def normal(prompt: str) -> str:
    """Return a prompt's text as its id sees it: Unicode's composed form (NFC), each run of white space one blank.

    Signs of no width (zero-width space, word joiner, byte order mark) do not count.
    """
    return unicodedata.normalize("NFC", " ".join(prompt.translate(NO_WIDTH).split()))


def sample(prompts: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """Draw n prompts: one of each topic in turn, with the topics in random order.

    The draw depends on the set of prompts and the seed, not on the order of rows. A larger n keeps the smaller draw and
    adds to it, so replies that are already in the store are reused.

    Args:
        prompts: columns as returned by `load`.
        n: how many, from 1 to all.
        seed: of the draw.

    Raises:
        UserError: n is below 1 or above the number of prompts, or the seed is invalid.
    """
    seeds.check_seed(seed)
    size = len(prompts)
    if not 1 <= n <= size:
        raise UserError(f"cannot draw {n} of {size} prompts: choose a number from 1 to {size}")
    rng = seeds.rng("prompts sampled", seed)
    shuffled = prompts.sort_values("prompt_id").sample(frac=1, random_state=rng)
    turn = shuffled.groupby("topic").cumcount()
    topics = rng.permutation(sorted(set(prompts["topic"])))
    place = shuffled["topic"].map({topic: i for i, topic in enumerate(topics)})
    by_turn_then_topic = np.lexsort((place, turn))  # lexsort's last key is the first to sort by
    return shuffled.iloc[by_turn_then_topic[:n]].reset_index(drop=True)


def balance(prompts: pd.DataFrame, by: str = "topic") -> pd.DataFrame:
    """Count both sides of the split in each group, and compare the share held out with what chance gives.

    Args:
        prompts: with `prompt_split` and the column `by`.
        by: column of the groups.

    Returns:
        Index `by`, the largest group first; `n`, `train`, `heldout` (numbers of prompts); `difference`: the group's
        share of the held-out prompts minus its share of the train prompts, in percentage points; `share` of the group
        that is held out; `low`, `high`: the range that this share has in at least 95 of 100 splits by chance that hold
        out as many prompts in all (hypergeometric); `outside`: the share lies outside of it; `p_outside`: how probable
        that is by chance.
    """
    from scipy.stats import hypergeom  # takes a third of a second, and a sample needs none

    counts = pd.crosstab(prompts[by], prompts["prompt_split"]).reindex(columns=list(SPLITS), fill_value=0)
    counts = counts.rename_axis(columns=None).assign(n=counts.sum(axis=1))
    counts = counts.sort_values("n", ascending=False, kind="stable")[["n", *SPLITS]]
    shares = counts / counts.sum().clip(lower=1)
    chance = hypergeom(counts["n"].sum(), counts["heldout"].sum(), counts["n"])
    low, high = chance.ppf(0.025), chance.ppf(0.975)
    return counts.assign(
        difference=100 * (shares["heldout"] - shares["train"]),
        share=counts["heldout"] / counts["n"],
        low=low / counts["n"],
        high=high / counts["n"],
        outside=(counts["heldout"] < low) | (counts["heldout"] > high),
        p_outside=chance.cdf(low - 1) + chance.sf(high),
    )


def _table(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return the rows with the columns of every prompt first, filled in where missing, then the rows' own columns."""
    text = rows["prompt"]
    defaults = {
        "prompt_id": text.map(prompt_id),
        "topic": NO_TOPIC,
        "source": source,
        "prompt_split": text.map(side_of),
    }
    own = rows.reindex(columns=list(defaults)).astype(object).replace("", None)
    filled = own.fillna(pd.DataFrame(defaults)).astype("str")
    table = rows.assign(**filled).reset_index(drop=True)
    return table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]


def _prism(path: Path | None) -> pd.DataFrame:
    """Return PRISM's conversations with their opening prompt as `prompt`, an empty text where it is missing."""
    fields = ["opening_prompt", "conversation_id", "conversation_type"]
    read = _download(fields) if path is None else files.read_table(path, fields[1:], fields[:1])
    rows = read.reindex(columns=fields)
    texts = rows["opening_prompt"]
    gap = texts.isna()
    if bad := [i for i, text in enumerate(texts, 1) if not isinstance(text, str) and not gap.iloc[i - 1]]:
        raise UserError(f"{path} has no text as prompt in {_rows(bad)}: correct it or leave the row out")
    return rows.rename(columns={"opening_prompt": "prompt"}).fillna({"prompt": ""})


def _download(fields: list[str]) -> pd.DataFrame:
    """Download these fields of PRISM's conversations."""
    page = f"https://huggingface.co/datasets/{PRISM}"
    other = f", or download conversations.jsonl from {page} and give its path as prompts"
    return hub(
        lambda load: load(PRISM, "conversations", split="train").select_columns(fields).to_pandas(),
        needs=f"PRISM from the hub needs `pip install datasets`{other}",
        failed=lambda reason: f"cannot download PRISM from the hub ({reason}): check the network{other}",
    )


def hub(fetch: Callable[[Callable[..., Any]], Any], needs: str, failed: Callable[[str], str]) -> Any:
    """Download from the Hugging Face hub with the package `datasets`; return what `fetch` returns.

    Args:
        fetch: is given `datasets.load_dataset`.
        needs: message for a user without the package.
        failed: returns the message for a download that failed, from the reason in one line.

    Raises:
        UserError: the package is not installed, or the download failed.
    """
    try:
        from datasets import load_dataset  # an optional extra
    except ImportError as error:
        raise UserError(needs) from error
    try:
        return fetch(load_dataset)
    except Exception as error:  # each of its layers (hub, HTTP, parquet) has exceptions of its own
        raise UserError(failed(" ".join(str(error).split())[:200])) from error


def _own(path: Path) -> pd.DataFrame:
    """Read a user's file; refuse one whose prompts could not be told apart by their ids later."""
    rows = files.read_table(path, [name for name in COLUMNS if name != "prompt"], ["prompt"])
    if "prompt" not in rows:
        raise UserError(f"{path} has no column 'prompt': it has {', '.join(map(str, rows.columns)) or 'none'}")
    bad = [i for i, text in enumerate(rows["prompt"], 1) if not isinstance(text, str) or not text.strip()]
    if bad:
        raise UserError(f"{path} has no text as prompt in {_rows(bad)}: fill it in or leave the row out")
    table = _table(rows, path.name)
    said = table["prompt_split"].map(tables.spelling)
    table["prompt_split"] = said.mask(said.isin(HELDOUT_NAMES), "heldout").replace("seen", "train")
    if wrong := sorted(set(table.loc[~table["prompt_split"].isin(SPLITS), "prompt_split"])):
        raise UserError(f"{path} has prompt_split {', '.join(wrong[:5])}: it takes {' or '.join(SPLITS)}")
    _check_ids(table, str(path))
    _check_texts(table, str(path))
    return table


def _check_texts(table: pd.DataFrame, where: str) -> None:
    """Raise UserError for a text that is on both sides of the split, under ids of the user's own."""
    text = table["prompt"].map(normal)
    both = table.groupby(text)["prompt_split"].nunique() > 1
    if both.any():
        same = np.flatnonzero(text == both.index[both][0]) + 1
        raise UserError(f"{where}: {_rows(list(same))} hold one text, to train and held out: leave all but one out")


def _check_ids(table: pd.DataFrame, where: str) -> None:
    """Raise UserError for ids that repeat, and name the rows of the first one."""
    repeats = table["prompt_id"].duplicated(keep=False)
    if not repeats.any():
        return
    first = table.loc[repeats, "prompt_id"].iloc[0]
    same = np.flatnonzero(table["prompt_id"] == first) + 1
    if table["prompt"].iloc[same - 1].map(normal).nunique() == 1:
        raise UserError(
            f"{where}: {_rows(list(same))} hold one text (white space does not count): leave all but one out"
        )
    raise UserError(
        f"{where}: {_rows(list(same))} have the same prompt_id '{first}', and {repeats.sum()} rows in all share "
        "an id: give each prompt its own (without a column prompt_id, the id is a hash of the text)"
    )


def _rows(numbers: list[int]) -> str:
    """Return the numbers of at most five rows in words."""
    shown = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
    return f"row {shown}" if len(numbers) == 1 else f"rows {shown}"


def prompt_id(prompt: str) -> str:
    """Return a prompt's id: the hash of its normalized text."""
    return "q" + seeds.digest(normal(prompt), 8)


def side_of(prompt: str) -> str:
    """Return the side of a prompt by the hash of its normalized text: train or heldout."""
    share = int(seeds.digest(f"{SPLIT_SEED}:{normal(prompt)}", 8), 16) / 16**8
    return "heldout" if share < HELDOUT_SHARE else "train"
