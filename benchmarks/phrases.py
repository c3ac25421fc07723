"""Measure how varied the hand-written phrases of personas are, and how often each topic of pastimes comes up.

Run: `python benchmarks/phrases.py --people 26000` (about 20,000 adults). data/topics.yaml has the published figures.
"""

import argparse

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from persona_lib.personas import phrases, sampling
from persona_lib.personas.texts import QUIRKS

SETS = QUIRKS | {"personal time": "personal_time", "lifestyle": "lifestyle"}


def main(people: int) -> None:
    """Print the phrases of each set, how frequent and how often shared they are, and adults' shares by topic."""
    adults = sampling.sample(people, seed=7, balanced=False).query("age >= 18")
    print(f"{len(adults):,} adults; per set of phrases: how many, the most frequent one's share, pairs that share one")
    for names in (*([name] for name in SETS), [*SETS]):
        told = pd.concat([adults[name].str.split(phrases.JOIN).explode() for name in names])
        codes, _ = pd.factorize(told)
        has = csr_matrix((np.ones(len(codes)), (adults.index.get_indexer(told.index), codes)))
        first, second = np.random.default_rng(0).integers(len(adults), size=(2, 200_000))
        shared = has[first].multiply(has[second]).sum(axis=1)[first != second] > 0
        count = sum(len(phrases.load(SETS[name])) for name in names)
        print(f"{' + '.join(names)}: {count:,}, {has.mean(axis=0).max():.2%}, {shared.mean():.1%}")
    for name in ("personal time", "lifestyle"):
        topic = phrases.load(SETS[name]).set_index("phrase")["topic"]
        shares = adults[name].str.split(phrases.JOIN).explode().map(topic).value_counts() / len(adults)
        print(f"{name}: {', '.join(f'{topic} {share:.0%}' for topic, share in shares.items())}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=26_000)
    main(**vars(parser.parse_args()))
