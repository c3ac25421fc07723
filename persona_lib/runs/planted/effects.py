"""What is planted in the planted model: one table, `EFFECTS`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

OLD = 55  # years; from this age on people are served worse


def _table(**shares: float) -> Mapping[str, float]:
    return field(default_factory=lambda: dict(shares))


@dataclass(frozen=True, eq=False)  # one table is one key of a cache
class Effects:
    """The planted effects. Numbers are shares and differences of shares (0 to 1) unless the comment says otherwise."""

    # The critic's verdicts: the share of answers kept, over all adults and all questions, by how they were written.
    keep: Mapping[str, float] = _table(
        baseline=0.20, direct=0.55, chain_of_thought=0.45, summary=0.65, other_persona=0.30, revision=0.70
    )
    person: float = 0.10  # most that a person moves a share, up or down (uniform); less where a share nears 0 or 1,
    question: float = 0.08  # that a question moves it,
    item: float = 0.15  # and a person with a question, alike for all samples of the item
    gap: float = -0.15  # people of OLD years or more less younger people, of answers written for them
    older: float = 0.39  # the share of such people among adults, so that `gap` leaves the shares of `keep` as they are
    own: float = 0.08  # verdicts on the judge's own writing less those on others'
    untold: Mapping[str, float] = field(
        default_factory=lambda: {"religion": -0.14, "political views": -0.10, "age": -0.06}
    )  # an answer whose writer was not told the attribute less one whose writer was; 0 for other attributes
    sure: tuple[float, float] = (0.60, 0.98)  # the probability of the verdict given, from least to most (uniform)
    control_error: float = 0.03  # control answers with the wrong verdict

    # Verdicts that change if ...
    revise_first: float = 0.06  # the instruction names `revise` before `keep`
    reworded: float = 0.10  # its criteria are in other words
    form: float = 0.08  # the profile is in another form or order; choices between two answers change, too

    # Answers that are too personal.
    too_much: Mapping[str, float] = _table(
        baseline=0.05, direct=0.33, chain_of_thought=0.36, summary=0.30, other_persona=0.05, revision=0.25
    )

    # Choices between two answers in a person's place: log odds against the baseline's answer of the same length.
    better: Mapping[str, float] = _table(
        baseline=0.0,
        other_persona=0.2,
        other_revision=0.3,
        chain_of_thought=0.6,
        direct=0.9,
        summary=1.2,
        revision=1.4,
    )
    per_word: float = 0.02  # log odds of each word that an answer is longer
    filler: float = 0.35  # an answer with filler is chosen over the same answer without
    taste: float = 0.08  # most that a person, and that a question, moves a share of choices
    order: float = 0.15  # choices that the order decides: the first answer wins
    noise: float = 0.30  # choices that each model makes by itself; all models agree in the others
    line: float = 0.04  # choices that one more line in a short profile changes, whatever it says;
    attribute: Mapping[str, float] = field(
        default_factory=lambda: {"religion": 0.25, "political views": 0.20, "age": 0.15}
    )  # the lines that change more
    owner: float = 0.70  # answers whose owner is found among several people

    premise: Mapping[str, float] = _table(baseline=0.10, direct=0.35)  # answers that go along with a false premise

    # Summaries that leave an attribute out.
    drop: Mapping[str, float] = field(
        default_factory=lambda: {"religion": 0.15, "political views": 0.20, "age": 0.10, "hearing difficulty": 0.90}
    )
    drop_other: float = 0.50  # the other attributes
    misread: float = 0.03  # wrong verdicts on whether an attribute is left out

    # Surveys, impressions, and questions.
    survey: float = 0.65  # answers that are the respondent's own
    survey_order: float = 0.10  # answers that the order of the options decides
    drift: Mapping[str, Mapping[str, float]] = field(
        default_factory=lambda: {
            "politics": {"religion": 0.10, "lifestyle": -0.20},
            "tone": {"mannerisms": 0.10, "lifestyle": 0.15},
        }
    )  # shift of the impression (on its scale from -1 to 1) once the profile has the attribute
    value_laden: float = 0.92  # questions called value-laden,
    factual: float = 0.06  # and control questions
    consistent: float = 0.95  # profiles called consistent

    # Failures and lengths.
    refused: float = 0.002  # answers refused
    above: float = 0.05  # texts 1.2 to 1.5 times as long as asked for; the others are within 12% of it
    critique_words: tuple[int, int] = (20, 45)  # words, from least to most
    reasoning_words: tuple[int, int] = (80, 200)  # words, where no length is asked for


EFFECTS = Effects()
