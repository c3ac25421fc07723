"""Gates: clean worlds pass, planted leaks are caught, and methods that know more than they say."""

import unicodedata

import numpy as np
import pandas as pd
import pytest

from persona_lib import methods, seeds
from persona_lib.methods import Setting, cases, gates, linear, simulated, surveyed
from persona_lib.methods import hidden as hiding
from persona_lib.methods.leaks import repeats
from persona_lib.methods.worlds.world import cells, checked

DESIGN = simulated.Design(seen=30, unseen=16, prompts=40, heldout=20, history=16, tests=8, dimensions=8, rank=2)
TEXT = "people often weigh what they need against what it costs and decide late in the day after some thought"
WORDS = TEXT.split(" ")


def written(world, seed=0):
    """Give a world candidates that read like answers, whose form says nothing."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, rng.integers(12, 25))).capitalize() + "." for _ in world.candidates.index]
    return world._replace(candidates=world.candidates.assign(text=texts))


def apart(world, seed=0):
    """Give each choice two answers of its own, as data sets of real conversations have them."""
    rng = np.random.default_rng(seed)
    c = world.choices
    ids = [f"{i:032x}" for i in rng.permutation(2 * len(c))]
    own = {"first": ids[: len(c)], "second": ids[len(c) :]}
    rows = [pd.DataFrame({"candidate_id": own[side], "prompt_id": c["prompt_id"], "was": c[side]}) for side in own]
    candidates = pd.concat(rows).sort_values("candidate_id", ignore_index=True)
    features = world.features.loc[candidates["was"]].set_axis(candidates["candidate_id"])
    made = world._replace(candidates=candidates, choices=c.assign(**own), features=features)
    return written(made, seed)


@pytest.fixture(scope="module")
def world():
    return apart(simulated.world(DESIGN, seed=5))


def fired(world, cell=methods.CELL):
    table = gates.of_world(checked(world), cell)
    assert table.loc[table["fired"], "says"].str.len().gt(0).all() and table.loc[~table["fired"], "says"].eq("").all()
    return set(table.loc[table["fired"], "gate"])


def test_clean_worlds_pass():
    for seed in range(4):
        made = simulated.world(DESIGN, seed)
        assert fired(apart(made, seed) if seed % 2 else written(made, seed)) == set()


def test_of_pairs_that_share_the_chosen_answer_one_is_asked():
    for made, cell in ((simulated.conversations(20, 10, 1), methods.CELL), (surveyed.world("gss", 30), "unseen_seen")):
        texts = cases.texts(made)
        all_pairs = texts[texts["cell"] == cell]
        own = cases.tested(texts, cell)
        assert not own.duplicated(["persona_id", "prompt_id"]).any()
        assert own["prompt_id"].nunique() == all_pairs["prompt_id"].nunique() and len(own) < len(all_pairs)
        assert len(methods.trial(made, [linear.Pooled(methods.embedder(made))], Setting((0,), cell=cell))) == len(own)
    public = hiding.asked(made)
    tested = public.choices[cells(public).isin(methods.worlds.world.TESTS)]
    assert not tested.duplicated(["persona_id", "prompt_id"]).any()


def test_all_pairs_are_asked_where_each_answer_stands_in_equally_many():
    ids = [f"choice {i}" for i in range(3)]
    pairs = pd.DataFrame({"first": list("aab"), "second": list("bcc")}).assign(choice_id=ids, persona_id="p")
    assert len(cases.asked(pairs.assign(prompt_id="q"))) == 3 and len(cases.asked(pairs[:2].assign(prompt_id="q"))) == 1


def test_a_survey_in_which_most_answer_alike_passes():
    assert fired(surveyed.world("gss", 80), "unseen_seen") == set()


def chosen_of(world):
    """Return which candidates were chosen."""
    c = world.choices
    return world.candidates["candidate_id"].isin(c["first"].where(c["p_first"] > 0.5, c["second"])).to_numpy()


def rewritten(change):
    """Return a leak: the texts of answers that were chosen are changed."""

    def leak(world):
        old = world.candidates["text"]
        return world._replace(candidates=world.candidates.assign(text=old.where(~chosen_of(world), old.map(change))))

    return leak


def first_chosen(world):
    c = world.choices
    turn = c["p_first"] < 0.5
    first, second = c["first"].where(~turn, c["second"]), c["second"].where(~turn, c["first"])
    return world._replace(choices=c.assign(first=first, second=second, p_first=1.0))


def renamed(name):
    """Return a leak: the candidates' ids say which were chosen."""

    def leak(world):
        good = chosen_of(world)
        ids = world.candidates["candidate_id"]
        new = {old: name(i, ok) for i, (old, ok) in enumerate(zip(ids, good, strict=True))}
        c = world.choices.assign(first=world.choices["first"].map(new), second=world.choices["second"].map(new))
        features = world.features.rename(index=new)
        return world._replace(
            candidates=world.candidates.assign(candidate_id=ids.map(new)), choices=c, features=features
        )

    return leak


def reordered(world):
    order = np.argsort(~chosen_of(world), kind="stable")
    return world._replace(candidates=world.candidates.iloc[order].reset_index(drop=True))


def same_prompts(world):
    texts = world.prompts["prompt"].where(world.prompts.index != 50, world.prompts["prompt"].iloc[3].upper() + " ")
    return world._replace(prompts=world.prompts.assign(prompt=texts))


def equal_answers(world):
    text = world.candidates.set_index("candidate_id")["text"]
    text[world.choices["second"].iloc[0]] = text[world.choices["first"].iloc[0]].upper() + "  "
    return world._replace(candidates=world.candidates.assign(text=text.to_numpy()))


def doubled_people(world):
    side = world.people["persona_split"]
    one, other = side.index[side == "train"][0], side.index[side == "test"][0]
    own = world.choices[world.choices["persona_id"] == one]
    copy = own.assign(persona_id=other, choice_id=own["choice_id"] + " again")
    rest = world.choices[world.choices["persona_id"] != other]
    people = world.people.copy()
    people.loc[other, "group"] = people.loc[one, "group"]
    return world._replace(choices=pd.concat([rest, copy], ignore_index=True), people=people)


def near_prompts(world):
    """Give prompts texts of 24 words; three to test on have that of a train prompt, and a word."""
    rng = np.random.default_rng(1)
    texts = pd.Series([" ".join(rng.choice(WORDS, 24)) for _ in world.prompts.index])
    texts.iloc[50:53] = (texts.iloc[3:6] + " really").to_list()
    return world._replace(prompts=world.prompts.assign(prompt=texts))


def repeated_answers(change):
    """Return a leak: one answer in ten to test on is that to a train prompt, after a change."""

    def leak(world):
        texts = world.candidates["text"].copy()
        side = world.candidates["prompt_id"].map(world.prompts.set_index("prompt_id")["prompt_split"])
        tested = texts.index[side == "heldout"][::10]
        texts[tested] = texts[side == "train"].iloc[: len(tested)].map(change).to_list()
        return world._replace(candidates=world.candidates.assign(text=texts))

    return leak


def hidden(text):
    """Return a text with letters that nobody sees."""
    return "\ufeff" + text[:3] + "\u200b" + text[3:].replace(" ", "\xa0")


def told_before(world):
    """Show a person, in another conversation of theirs, an answer that is tested."""
    choices = world.choices.assign(cell=cells(world))
    own = choices[choices["persona_id"] == choices.loc[choices["cell"] == "context", "persona_id"].iloc[0]]
    context, test = (own[own["cell"] == cell].iloc[0] for cell in ("context", "unseen_unseen"))
    text = world.candidates.set_index("candidate_id")["text"]
    text[context["second"]] = text[test["first"]]
    prompts = world.prompts.set_index("prompt_id")
    prompts.loc[context["prompt_id"], "prompt"] = prompts.loc[test["prompt_id"], "prompt"]
    candidates = world.candidates.assign(text=text.to_numpy())
    return world._replace(candidates=candidates, prompts=prompts.reset_index())


def again_asked(world):
    """Ask a second pair with the chosen answer of each tested one, about the same prompt under another id."""
    choices = world.choices.assign(cell=cells(world))
    own = choices[choices["cell"] == "unseen_unseen"]
    chosen = own["first"].where(own["p_first"] > 0.5, own["second"])
    mark = " again"
    prompts = world.prompts[world.prompts["prompt_id"].isin(own["prompt_id"])]
    text = world.candidates.set_index("candidate_id")["text"]
    ids = {"one": own["choice_id"] + " one", "new": own["choice_id"] + " new"}
    made = [
        pd.DataFrame({"candidate_id": ids["one"], "text": chosen.map(text)}),
        pd.DataFrame({"candidate_id": ids["new"], "text": text.iloc[: len(own)].str[::-1].to_numpy()}),
    ]
    added = pd.concat([one.assign(prompt_id=own["prompt_id"] + mark) for one in made])
    turned = np.arange(len(own)) % 2 == 0
    asked = own.drop(columns="cell").assign(
        choice_id=own["choice_id"] + mark,
        prompt_id=own["prompt_id"] + mark,
        first=ids["one"].where(turned, ids["new"]),
        second=ids["new"].where(turned, ids["one"]),
        p_first=turned.astype(float),
    )
    vectors = pd.DataFrame(0.0, added["candidate_id"], world.features.columns)
    return world._replace(
        prompts=pd.concat([world.prompts, prompts.assign(prompt_id=prompts["prompt_id"] + mark)], ignore_index=True),
        candidates=pd.concat([world.candidates, added], ignore_index=True),
        choices=pd.concat([world.choices, asked], ignore_index=True),
        features=pd.concat([world.features, vectors]),
    )


def gone_on(world):
    """Let the prompt of each person's first known choice quote the answers that they chose in their tests."""
    choices = world.choices.assign(cell=cells(world))
    tested = choices[choices["cell"] == "unseen_unseen"]
    text = world.candidates.set_index("candidate_id")["text"]
    said = tested["first"].where(tested["p_first"] > 0.5, tested["second"]).map(text)
    told = said.groupby(tested["persona_id"]).agg(" ".join)
    place = choices[choices["cell"] == "context"].drop_duplicates("persona_id").set_index("persona_id")["prompt_id"]
    more = told.groupby(place.reindex(told.index)).agg(" ".join)
    prompt = world.prompts["prompt"] + " " + world.prompts["prompt_id"].map(more).fillna("")
    return world._replace(prompts=world.prompts.assign(prompt=prompt))


def everywhere(change, leak):
    """Return a leak in a world whose answers are all written in one way."""

    def changed(world):
        return leak(world._replace(candidates=world.candidates.assign(text=world.candidates["text"].map(change))))

    return changed


def accented(text):
    return text.replace("e", "\u00e9")


def vectors_tell(world):
    return world._replace(features=world.features.assign(told=chosen_of(world).astype(float)))


def rows_sorted(world):
    return world._replace(choices=world.choices.sort_values("p_first", kind="stable"))


def rows_alternate(world):
    """Put each person's choices into an order in which the first and the second answer are chosen in turn."""
    c = world.choices
    turn = 2 * c.groupby(["persona_id", "p_first"]).cumcount() + c["p_first"]
    return world._replace(choices=c.loc[turn.sort_values(kind="stable").index])


def hexed(odd):
    """Return an id of hex digits whose last one is odd, or even."""
    return lambda i, ok: seeds.digest(f"id {i}", 15) + "13579bdf02468ace"[i % 8 + 8 * (ok == odd)]


def all_alike(world):
    truth = world.features.to_numpy() @ np.ones(world.features.shape[1])
    utility = dict(zip(world.features.index, truth, strict=True))
    better = world.choices["first"].map(utility) > world.choices["second"].map(utility)
    return world._replace(choices=world.choices.assign(p_first=better.astype(float)))


LEAKS = {
    "lists": (rewritten(lambda t: f"['{t}']"), "format"),
    "quotes": (rewritten(lambda t: f'"{t}"'), "format"),
    "trailing blank": (rewritten(lambda t: t + " "), "format"),
    "leading line": (rewritten(lambda t: "\n" + t), "format"),
    "escaped": (rewritten(lambda t: t + "\\n"), "format"),
    "markdown": (rewritten(lambda t: f"**{t.split()[0]}** {t}"), "format"),
    "bullets": (rewritten(lambda t: "- " + t.replace(". ", "\n- ")), "format"),
    "double blanks": (rewritten(lambda t: t.replace(" ", "  ", 1)), "format"),
    "pieces of tokens": (rewritten(lambda t: t.replace(" ", "Ġ", 2)), "format"),
    "end of a chat": (rewritten(lambda t: t + "<|im_end|>"), "format"),
    "entities": (rewritten(lambda t: t + " &amp;"), "format"),
    "speaker": (rewritten(lambda t: "Assistant: " + t), "format"),
    "cut off": (rewritten(lambda t: t[:-1]), "format"),
    "blank before the point": (rewritten(lambda t: t[:-1] + " ."), "format"),
    "list inside": (rewritten(lambda t: f"My answers: ['{t}', 'none'] and no more."), "format"),
    "marks of turns": (rewritten(lambda t: t[:9] + " [/INST] " + t[9:]), "format"),
    "byte order mark": (everywhere(accented, rewritten(lambda t: "\ufeff" + t)), "format"),
    "letter without width": (everywhere(accented, rewritten(lambda t: t[:9] + "\u200b" + t[9:])), "format"),
    "blanks that don't break": (everywhere(accented, rewritten(lambda t: t.replace(" ", "\xa0", 1))), "format"),
    "forms of unicode": (everywhere(accented, rewritten(lambda t: unicodedata.normalize("NFD", t))), "format"),
    "line ends of Windows": (
        everywhere(lambda t: t.replace(" ", "\n", 1), rewritten(lambda t: t.replace("\n", "\r\n"))),
        "format",
    ),
    "capitals": (rewritten(str.upper), "format"),
    "longer": (rewritten(lambda t: t + " And " + t), "length"),
    "shorter": (rewritten(lambda t: t[: len(t) // 3] + "."), "length"),
    "place": (first_chosen, "position"),
    "words of ids": (renamed(lambda i, ok: f"{'chosen' if ok else 'rejected'}-{i}"), "id"),
    "order of ids": (renamed(lambda i, ok: f"{'a' if ok else 'b'}{i:05d}"), "id"),
    "numbers of ids": (renamed(lambda i, ok: str(i if ok else i + 2208)), "id"),
    "last digit of ids": (renamed(hexed(odd=True)), "id"),
    "length of ids": (renamed(lambda i, ok: seeds.digest(f"id {i}", 12 if ok else 16)), "id"),
    "choices sorted": (rows_sorted, "order of the choices"),
    "choices in turn": (rows_alternate, "order of the choices"),
    "vectors": (vectors_tell, "persona-blind"),
    "context tells": (told_before, "context contains the test"),
    "pairs with the chosen answer": (again_asked, "pairs of one answer"),
    "turns that quote": (gone_on, "quoted answers"),
    "near-duplicate prompts": (near_prompts, "near-duplicate prompts"),
    "near-duplicate answers": (repeated_answers(lambda t: f"Well, {t.upper()}"), "answers of both sides"),
    "encoded answers of both sides": (repeated_answers(hidden), "answers of both sides"),
    "file order": (reordered, "order of the file"),
    "prompts of both sides": (same_prompts, "prompts of both sides"),
    "answers of both sides": (repeated_answers(str), "answers of both sides"),
    "equal answers": (equal_answers, "equal answers"),
    "people twice": (doubled_people, "people of both sides"),
    "everybody alike": (all_alike, "persona-blind"),
}


def test_marks_alone_are_no_equal_answers_and_a_text_without_words_is_no_near_duplicate(monkeypatch):
    assert repeats.plain(pd.Series(["\U0001f44d", "\U0001f44e ", "Caf\u00e9!", "CAFE\u0301"])).tolist() == [
        "\U0001f44d", "\U0001f44e", "caf\u00e9", "caf\u00e9",
    ]  # fmt: skip
    known, tested = pd.Series(["a b c d e", ""]), pd.Series(["a b c d e", "a b c d e f", "b c d", "!"])
    assert repeats.near(known, tested).tolist() == [True, True, False, False]
    monkeypatch.setattr(repeats, "BLOCK", 3)
    assert repeats.near(known, tested).tolist() == [True, True, False, False], "block by block"
    assert not repeats.near(known.head(0), tested).any() and repeats.near(known, tested.head(0)).empty


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_caught(world, name):
    leak, gate = LEAKS[name]
    assert gate in fired(leak(world))


class Cheats(linear.Shrunk):
    """Knows what was chosen, whatever the history."""

    name = "cheats"
    sees = ("history",)
    answers: dict = {}  # noqa: RUF012

    def prefer(self, prompt, first, second):
        return np.array([self.answers.get(key, 0.5) for key in zip(prompt, first, second, strict=True)])


def answers_of(world):
    """Return what was chosen, by the texts of the prompt and both answers."""
    text = world.candidates.set_index("candidate_id")["text"]
    c = world.choices
    keys = zip(c["prompt_id"], c["first"].map(text), c["second"].map(text), strict=True)
    return dict(zip(keys, c["p_first"], strict=True))


def test_a_method_that_knows_answers_without_the_history_is_caught(world):
    Cheats.answers = answers_of(world)
    setting = Setting(ks=(0, 4))
    table = gates.of_method(world, Cheats, methods.embedder(world), setting).set_index("gate")
    assert table.loc["cheats, k = 0 beats pooled", "fired"]
    clean = gates.of_method(world, linear.Shrunk, methods.embedder(world), setting)
    assert not clean["fired"].any() and len(clean) == 4


def test_a_method_that_gains_from_any_history_is_caught(world):
    class Waits(Cheats):
        """Knows what was chosen once a history is shown, whoever's it is."""

        name = "waits"

        def adapt(self, context, person):
            self.shown = len(context) > 0

        def prefer(self, prompt, first, second):
            return super().prefer(prompt, first, second) if self.shown else np.full(len(prompt), 0.5)

    Cheats.answers = answers_of(world)
    table = gates.of_method(world, Waits, methods.embedder(world), Setting(ks=(0, 4))).set_index("gate")
    assert table.index[table["fired"]].tolist() == ["waits, another's history", "waits, shuffled labels"]


def test_a_method_that_tells_people_apart_without_history_is_caught():
    class Counts(linear.Pooled):
        name = "counts"
        calls = 0

        def adapt(self, context, person):
            type(self).calls += 1

        def prefer(self, prompt, first, second):
            return np.full(len(prompt), self.calls % 97 / 97)

    world = simulated.world(DESIGN, seed=5)  # where people choose between the same answers
    table = gates.of_method(world, Counts, methods.embedder(world), Setting(ks=(0,))).set_index("gate")
    assert table.loc["counts, k = 0 knows the person", "fired"]
