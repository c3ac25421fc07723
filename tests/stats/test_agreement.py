"""Kappa and related coefficients: against scikit-learn, statsmodels and the packages krippendorff and irrCAC."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa, fleiss_kappa

from persona_lib import UserError, stats
from persona_lib.stats import agreement
from persona_lib.stats.agreement import among, coefficients, cohen_kappa, kappa_matrix, spread


def choices(annotators: int, items: int, options: str = "AB", missing: float = 0.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.choice(list(options), (annotators, items)))
    return table.mask(rng.random(table.shape) < missing)


def two_raters(n: int, flip: float, prevalence: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two raters who see the same truth and each get it wrong with chance `flip`."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < prevalence
    return truth ^ (rng.random(n) < flip), truth ^ (rng.random(n) < flip)


@pytest.mark.parametrize(("options", "missing"), [("AB", 0.0), ("AB", 0.4), ("ABCD", 0.2)])
def test_a_kappa_matrix_is_scikit_learns_kappa_pair_by_pair(options, missing):
    table, other = choices(12, 30, options, missing), choices(9, 30, options, missing, seed=1)
    for result, rows, columns in [(kappa_matrix(table), table, table), (kappa_matrix(table, other), table, other)]:
        for i in rows.index:
            for j in columns.index:
                pair = pd.DataFrame({"a": rows.loc[i], "b": columns.loc[j]}).dropna()
                assert result.loc[i, j] == pytest.approx(cohen_kappa_score(pair["a"], pair["b"]), abs=1e-12)


def test_kappa_is_missing_where_undefined_and_counted():
    table = pd.DataFrame([["A", "A", "A"], ["A", "A", None], ["A", "B", "A"], [None, None, None]], index=list("wxyz"))
    result = kappa_matrix(table)
    assert np.isnan(result.loc["w", "x"]) and np.isnan(result.loc["w", "w"]) and result.loc["z"].isna().all()
    assert result.loc["w", "y"] == 0 and result.loc["y", "y"] == 1
    row = spread(result).iloc[0]
    assert row["pairs"] == 6 and row["undefined"] == 4 and row["mean"] == 0
    assert np.isnan(cohen_kappa(["A", "A"], ["A", "A"])) and np.isnan(cohen_kappa([None, "A"], ["A", None]))
    assert spread(kappa_matrix(table.iloc[[3]], table.iloc[[0]])).loc[0, "undefined"] == 1


def test_tables_with_other_items_or_nobody_in_them_are_refused():
    with pytest.raises(UserError, match="same items"):
        kappa_matrix(choices(3, 5), choices(3, 6))
    with pytest.raises(UserError, match="no annotators"):
        kappa_matrix(choices(3, 5).iloc[:0])


def test_two_raters_coefficients_agree_with_statsmodels_and_scikit_learn():
    a, b = two_raters(2000, 0.2, 0.7)
    table = coefficients(a, b)
    expected = cohens_kappa(pd.crosstab(a, b).to_numpy())
    kappa = table.loc["Cohen's kappa"]
    assert kappa.estimate == pytest.approx(expected.kappa) == cohen_kappa(a, b)
    assert [kappa.low, kappa.high] == pytest.approx([expected.kappa_low, expected.kappa_upp], abs=0.002)
    raw = (a == b).mean()
    assert table.loc["PABAK", "estimate"] == pytest.approx(2 * raw - 1)
    counts = aggregate_raters(np.stack([a, b], axis=1).astype(int))[0]
    assert table.loc["Fleiss' kappa", "estimate"] == pytest.approx(fleiss_kappa(counts))
    assert (table["n"] == 2000).all() and (table["failed"] == 0).all()
    assert ((table["low"] < table["estimate"]) & (table["estimate"] < table["high"])).all()


def test_coefficients_are_those_of_the_packages_krippendorff_and_irrcac():
    # krippendorff 0.8 and irrCAC 0.4 gave these figures; the table with gaps is Krippendorff's (2011) example.
    gaps = pd.DataFrame(
        [list("123321412000"), list("123322412503"), list("033323422510"), list("123324412510")]
    ).T.replace("0", None)
    table = among(gaps)
    assert table.loc["Krippendorff's alpha", "estimate"] == pytest.approx(0.743421052631579)
    assert table.loc["raw agreement", "estimate"] == pytest.approx(0.81818, abs=1e-5)
    assert table.loc["raw agreement", ["n", "failed"]].tolist() == [11, 1]
    # Both take their shares from all rated items, also from the one with a single rating.
    assert table.loc[["AC1", "Fleiss' kappa"], "estimate"].tolist() == pytest.approx([0.77544, 0.76117], abs=1e-5)
    full = among(pd.DataFrame([list("1233214121"), list("1233224121"), list("2333234221")]).T)["estimate"]
    found = full[["AC1", "Fleiss' kappa", "Krippendorff's alpha", "PABAK"]].tolist()
    assert found == pytest.approx([0.60641, 0.57944, 0.59346, 0.6], abs=1e-5)
    pair = coefficients(list("01001101"), list("01101001"))["estimate"]
    assert pair["Krippendorff's alpha"] == pytest.approx(0.53125) and pair["AC1"] == pytest.approx(0.5)


def test_two_raters_are_the_smallest_case_of_many():
    a, b = two_raters(100, 0.2)
    many, two = among(pd.DataFrame({"a": a, "b": b})), coefficients(a, b)
    pd.testing.assert_frame_equal(many, two.loc[many.index], atol=1e-9)


def test_prevalence_makes_kappa_fall_where_ac1_and_pabak_stay():
    table = coefficients(*([1] * 90 + [1] * 5 + [0] * 5, [1] * 90 + [0] * 5 + [1] * 5))["estimate"]
    assert table["raw agreement"] == 0.9 and table["PABAK"] == pytest.approx(0.8)
    assert table["Cohen's kappa"] < 0 and table["AC1"] > 0.85
    assert table["prevalence index"] == pytest.approx(-0.9) and table["bias index"] == pytest.approx(0)


def true_coefficients(prevalence: float, flip: float) -> dict[str, float]:
    both, neither = (p * (1 - flip) ** 2 + (1 - p) * flip**2 for p in (prevalence, 1 - prevalence))
    share = prevalence * (1 - flip) + (1 - prevalence) * flip
    chances = {"Cohen's kappa": share**2 + (1 - share) ** 2, "AC1": 2 * share * (1 - share)}
    return {name: (both + neither - chance) / (1 - chance) for name, chance in chances.items()}


# One option prevails in .5 to .95 of 10 to 60 items. Kappa's interval covered in .37 to .97 before items were added.
@pytest.mark.parametrize(
    ("n", "prevalence", "flip"),
    [(10, 0.5, 0.1), (10, 0.85, 0.08), (10, 0.95, 0.03), (20, 0.95, 0.03), (60, 0.85, 0.1)],
)
def test_an_interval_of_agreement_covers_the_truth_in_about_95_of_100_simulated_studies(n, prevalence, flip):
    truths = true_coefficients(prevalence, flip)
    hits = {name: [] for name in truths}
    for seed in range(200):
        table = coefficients(*two_raters(n, flip, prevalence, seed), options=[True, False])
        for name, truth in truths.items():
            row = table.loc[name]
            hits[name] += [row["low"] <= truth <= row["high"]] if pd.notna(row["estimate"]) else []
    # 200 studies or fewer: chance alone moves a coverage of 0.95 by about 0.03, and by 0.04 if a third are undefined.
    assert all(np.mean(found) >= 0.91 and len(found) >= 100 for found in hits.values())


def test_two_raters_who_nearly_always_choose_one_option_have_an_interval_that_admits_how_little_they_show():
    table = coefficients(list("aaaaaaaaab"), list("aaaaaaaaaa"))
    for name in ("Cohen's kappa", "Krippendorff's alpha"):
        row = table.loc[name]
        assert row["estimate"] == pytest.approx(0, abs=1e-9) and row["low"] < -0.4 and row["high"] > 0.6
        assert row["note"] == ""


def test_items_that_share_a_persona_widen_the_interval():
    a, b = two_raters(40, 0.2)
    a, b, persona = np.repeat(a, 10), np.repeat(b, 10), pd.DataFrame({"persona_id": np.repeat(range(40), 10)})
    alone, clustered, once = coefficients(a, b), coefficients(a, b, persona), coefficients(a[::10], b[::10])
    wide, narrow, right = (
        t.loc["Cohen's kappa", "high"] - t.loc["Cohen's kappa", "low"] for t in (clustered, alone, once)
    )
    assert wide > 2.5 * narrow and wide == pytest.approx(right, rel=0.05)


def test_where_raters_never_agree_kappa_may_be_below_chance():
    row = coefficients(["a"] * 8, ["b"] * 8).loc["Cohen's kappa"]
    assert row["estimate"] == 0 and row["low"] < -0.2 and row["high"] > 0


def test_what_cannot_be_estimated_is_a_row_that_says_so():
    same = coefficients(["A"] * 10, ["A"] * 10, options="AB")
    assert same["estimate"].isna().tolist() == [False, True, False, False, True, True, False, False]
    assert same.loc["Cohen's kappa", "note"].startswith("undefined") and same.loc["AC1", "note"] == "all scores equal"
    assert 0 < same.loc["AC1", "low"] < 0.7 and same.loc["AC1", "high"] == pytest.approx(1)
    nothing = coefficients([None, "A"], ["A", None])
    assert (nothing["note"] == "nothing scored").all() and (nothing["failed"] == 2).all()
    assert nothing[["estimate", "low", "high"]].isna().all(axis=None)
    lonely = among(pd.DataFrame({"a": ["A", None], "b": [None, None]}))
    assert (lonely["note"] == "nothing scored").all() and (lonely["failed"] == 2).all()


def test_intervals_stay_within_minus_one_and_one_and_no_shared_item_means_no_kappa():
    clusters = pd.DataFrame({"persona_id": np.repeat(range(4), 5), "prompt_id": list(range(5)) * 4})
    same = list("A" * 19 + "B")
    table = coefficients(same, same, clusters).drop("raw agreement")
    assert table.loc["Cohen's kappa", "low"] == -1 and table["low"].min() >= -1 and table["high"].max() <= 1
    assert np.isnan(cohen_kappa([], [])) and kappa_matrix(choices(2, 0), choices(3, 0)).isna().all(axis=None)


def test_choices_that_do_not_match_are_refused():
    with pytest.raises(UserError, match="same items"):
        coefficients(["A"], ["A", "B"])
    with pytest.raises(UserError, match="C was chosen"):
        coefficients(["A", "C"], ["A", "B"], options="AB")


def test_the_wings_face_gives_the_same_functions():
    assert stats.pass_at_k(4, 1, 2) == pytest.approx(0.5)
    assert stats.rates and stats.paired_differences and stats.kappa_matrix is kappa_matrix


def test_without_any_choice_every_coefficient_is_missing_and_says_so():
    nothing = pd.Series([None, None], dtype="str")
    table = agreement.coefficients(nothing, nothing)
    assert table["estimate"].isna().all() and (table["failed"] == 2).all() and (table["note"] == "nothing scored").all()


def test_a_kappa_matrix_takes_arrays_as_well_as_tables():
    table = pd.DataFrame([["A", "B", "A", "B"], ["A", "A", "A", "B"]])
    assert kappa_matrix(table.to_numpy()).equals(kappa_matrix(table))
    assert cohen_kappa(np.array(["A", "B"]), ["A", "B"]) == 1


def test_choices_that_are_not_annotators_by_items_are_refused():
    with pytest.raises(UserError, match="annotators x items"):
        kappa_matrix(np.array(["A", "B"]))
    named = pd.DataFrame([["A", "B"]], columns=["x", "y"])
    assert kappa_matrix(named, np.array([["A", "B"]])).iloc[0, 0] == 1  # an array has no names to compare


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1, 0, 1, 0], ["1", "0", "1", "0"]),
        ([1.0, 0.0, 1.0, np.nan], ["1", " 0", "1.0", "0"]),
        ([True, False, True, False], ["True", "false", "TRUE", "False"]),
        (["2", "1", "2", "1"], pd.array([2, 1, 2, 1], dtype="Int64")),
    ],
)
def test_an_option_is_the_same_as_a_number_and_as_text(a, b):
    assert cohen_kappa(a, b) == cohen_kappa(b, a) == 1
    assert kappa_matrix(pd.DataFrame([list(a), list(b)], dtype=object)).to_numpy().tolist() == [[1, 1], [1, 1]]
    assert coefficients(a, b).loc["Cohen's kappa", "estimate"] == 1
    named = coefficients(a, b, options=["0", "1", "2"])
    assert named.loc["raw agreement", "estimate"] == 1 and named["n"].max() >= 3
    assert among(pd.DataFrame({"a": list(a), "b": list(b)}, dtype=object)).loc["raw agreement", "estimate"] == 1


def test_numbers_beside_words_are_refused_and_texts_are_compared_as_they_are():
    for measure in (cohen_kappa, coefficients):
        with pytest.raises(UserError, match="some choices are numbers and others words, such as 1 and yes: write all"):
            measure([1, 0], ["yes", "no"])
    assert cohen_kappa(["A", "1", None], ["A", "1", "x"]) == 1
