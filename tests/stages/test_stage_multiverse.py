"""Counts of a multiverse against each scheme's own panel, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scheme_oracle import Person
from test_stage_schemes import NEW, START, WINDOW, random_people, rules_of, seeded, tables_of

from lcm_research.data.reduction import Tables
from lcm_research.errors import DataError, MissingTableError, StudyError
from lcm_research.stages.agreement import agreement_counts
from lcm_research.stages.multiverse import DIGITS, coarse_transition_counts
from lcm_research.stages.panel import stage_panel
from lcm_research.stages.rules import StageRules, stage_rules
from lcm_research.stages.scheme import COARSE, load_scheme

SCHEMES = ["nadc", "nadcr", "pnmc", *NEW]
CALENDAR = {key: value for key, value in WINDOW.items() if key != "history"}


def told(rules: dict[str, StageRules]) -> dict[str, Any]:
    return {label: one.parameters() for label, one in rules.items()}


def own_panels(made: Tables, rules: dict[str, StageRules], **options: Any) -> dict[str, pd.DataFrame]:
    """Return the coarse stages of one universe at a time, by the panel of its scheme alone."""
    panels = {}
    for label, one in rules.items():
        panel = stage_panel(made, rules=one, **(WINDOW | options)).to_pandas()
        panels[label] = panel.sort_values(["customer_id", "period"], ignore_index=True)
    return panels


def moves_of(panels: dict[str, pd.DataFrame], by: tuple[str, ...] = ()) -> pd.DataFrame:
    names, parts = np.array([*COARSE, "unknown"]), []
    for label, panel in panels.items():
        now, was = panel["coarse"], panel.groupby("customer_id")["coarse"].shift(fill_value=-1)
        parts.append(panel.assign(universe=label, from_stage=names[was], to_stage=names[now])[(now >= 0) & (was >= 0)])
    keys = ["universe", "period_start", *by, "replicate", "from_stage", "to_stage"]
    return pd.concat(parts).groupby(keys).size().rename("n").reset_index()


def agreed(panels: dict[str, pd.DataFrame]) -> pd.DataFrame:
    names, parts = np.array([*COARSE, "unknown"]), []
    for first in panels:
        for second in panels:
            if first < second:
                both = panels[first].merge(panels[second], on=["customer_id", "period", "replicate"])
                both = both[(both["coarse_x"] >= 0) & (both["coarse_y"] >= 0)]
                stages = {"first_stage": names[both["coarse_x"]], "second_stage": names[both["coarse_y"]]}
                parts.append(both.assign(first=first, second=second, **stages))
    keys = ["first", "second", "first_stage", "second_stage", "replicate"]
    return pd.concat(parts).groupby(keys).size().rename("n").reset_index()


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    keys = [column for column in found if column != "n"]
    pd.testing.assert_frame_equal(
        found, expected.sort_values(keys, ignore_index=True)[found.columns], check_dtype=False
    )


# -- against the panel of each scheme alone ---------------------------------------------------------------------------


@pytest.mark.parametrize("history", ["complete", "from_observation_start"])
@settings(seeded, max_examples=1)
@given(seed=st.integers(0, 2**32 - 1))
def test_counts_are_those_of_each_schemes_own_panel(history: str, seed: int) -> None:
    made = tables_of(random_people(seed, 60))
    rules = {scheme: rules_of(scheme) for scheme in SCHEMES}
    panels = own_panels(made, rules, history=history)
    options: dict[str, Any] = CALENDAR | {"universes": told(rules), "history": history}
    assert_same(coarse_transition_counts.execute(made, **options), moves_of(panels))
    assert_same(agreement_counts.execute(made, **options), agreed(panels))


# not purchases but silence counted in period ends: the row of the first contact matters
QUIET = {
    "scheme": "quiet",
    "version": 1,
    "title": {"en": "quiet", "zh": "沉默"},
    "streaks": {"silent": "n_period < 1"},
    "stages": {
        stage: {"name": {"en": stage, "zh": stage}, "coarse": coarse}
        for stage, coarse in {"heard": "established", "quiet": "at_risk"}.items()
    },
    "rules": [
        {"stage": "quiet", "when": "silent >= 3", "words": {"en": "quiet", "zh": "沉默"}},
        {"stage": "heard", "when": "silent < 3", "words": {"en": "heard", "zh": "活跃"}},
    ],
}


UNLIKED = {"acts": {"weights": {"like": 0, "comment": 0, "share": 0}}}


@settings(seeded, max_examples=1)
@given(seed=st.integers(0, 2**32 - 1))
def test_thresholds_cuts_by_period_and_streaks_keep_to_their_own_universe(seed: int) -> None:
    made = tables_of(random_people(seed, 40))
    made = Tables(dict(made) | {"customers": made["customers"].mutate(region=made["customers"].customer_id.right(1))})
    rolling = {"2021-05-01": 900.0, "2021-09-01": 5000.0}
    rules = {
        "quiet": stage_rules(QUIET, window_days=180),
        "intro5": rules_of("intro5"),
        "intro5, rolling": rules_of("intro5", m_cut=rolling),
        "aipl": rules_of("aipl"),
        "pnlc": rules_of("pnlc"),
        "pal": rules_of("pal"),
        "pal, likes left out": stage_rules(load_scheme("pal").definition() | UNLIKED, window_days=180),
    }
    for scheme in ("nadcr", "acamc", "aipl"):
        rules |= {f"{scheme}, {name} = {value:g}": one for name, value, one in rules_of(scheme).alternatives()}
    rules = dict(list(rules.items())[: DIGITS + 3]) | {"pnlc, w = 60": rules_of("pnlc", w=60)}
    assert len(rules) > DIGITS
    panels = own_panels(made, rules, by=["region"], history="complete")
    options = CALENDAR | {"universes": told(rules), "history": "complete", "by": ["region"]}
    assert_same(coarse_transition_counts.execute(made, **options), moves_of(panels, ("region",)))


def test_a_study_without_social_tables_loses_only_what_the_schemes_can_do_without() -> None:
    made = tables_of(random_people(3, 40), ("engagements", "touchpoints", "survey", "tier_history", "referrals"))
    rules = {scheme: rules_of(scheme) for scheme in ("nadc", "intro5", "amec", "ga4state")}
    options = CALENDAR | {"universes": told(rules), "history": "from_observation_start"}
    panels = own_panels(made, rules, history="from_observation_start")
    assert_same(coarse_transition_counts.execute(made, **options), moves_of(panels))


# -- by hand ----------------------------------------------------------------------------------------------------------


def test_a_prospect_who_engages_is_followed_only_by_the_scheme_that_knows_of_engagement() -> None:
    # START is 2021-01-01, so that days 10, 31 + 10 and 59 + 10 lie in January, February and March. The customer engages
    # in January and buys in February. nadc first knows of the purchase; pal is told of January too.
    person = Person(acts=[(START + 10, "like")], purchases=[(START + 41, 1000, None)])
    options = {
        "universes": told({"nadc": rules_of("nadc"), "pal": rules_of("pal")}),
        "observation_start_day": START,
        "as_of_day": START + 31 + 28 + 31 - 1,
        "history": "complete",
    }
    moves = coarse_transition_counts.execute(tables_of({"a": person}), **options)
    rows = [tuple(row) for row in moves[["universe", "from_stage", "to_stage", "period_start", "n"]].to_numpy()]
    # nadc: bought on 11 February, so 17 days ago (new, at most 30) and on 31 March 48 (active, at most 60)
    # pal: January prospect (no purchase, one engagement), then active, established for it with a purchase
    assert rows == [
        ("nadc", "new", "established", "2021-03-01", 1),
        ("pal", "prospect", "established", "2021-02-01", 1),
        ("pal", "established", "established", "2021-03-01", 1),
    ]
    pairs = agreement_counts.execute(tables_of({"a": person}), **options)
    # jointly known at the ends of February and March only
    rows = [tuple(row) for row in pairs[["first", "second", "first_stage", "second_stage", "n"]].to_numpy()]
    assert rows == [("nadc", "pal", "established", "established", 1), ("nadc", "pal", "new", "established", 1)]


def test_the_order_of_universes_changes_nothing() -> None:
    made = tables_of(random_people(5, 30))
    rules = {scheme: rules_of(scheme) for scheme in ("rete6", "aipl", "nadcr")}
    backwards = dict(reversed(list(rules.items())))
    for counted in (coarse_transition_counts, agreement_counts):
        found = [counted.execute(made, **WINDOW, universes=told(some)) for some in (rules, backwards)]
        pd.testing.assert_frame_equal(*found)
    assert {tuple(pair) for pair in found[0][["first", "second"]].to_numpy()} == {
        ("aipl", "nadcr"),
        ("aipl", "rete6"),
        ("nadcr", "rete6"),
    }


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_an_error_names_the_universe() -> None:
    made = tables_of(random_people(1, 3), ("engagements", "referrals"))

    def count(**parameters: Any) -> None:
        coarse_transition_counts(made, **WINDOW, universes={"nadc": rules_of("nadc").parameters()} | parameters)

    with pytest.raises(MissingTableError, match="no table 'referrals', which the universe 'ours' needs"):
        count(ours=rules_of("arg").parameters())
    with pytest.raises(StudyError, match=r"universe 'late': stages\.thresholds\.w_activ: scheme 'nadc' has no such"):
        count(late={"scheme": "nadc", "thresholds": {"w_activ": 30}, "window_days": 180})
    with pytest.raises(StudyError, match=r"universe 'no cut': .*compares with the cut m_cut"):
        count(**{"no cut": stage_rules("intro5", window_days=180).parameters()})
    with pytest.raises(StudyError, match="universe 'crowd': scheme 'community3' is about communities"):
        count(crowd=stage_rules("community3", window_days=180).parameters())
    bought = made["transactions"].mutate(currency=made["transactions"].is_return.ifelse("CNY", "USD"))
    mixed = Tables(dict(made) | {"transactions": bought.union(made["transactions"])})
    with pytest.raises(DataError, match="universe 'money': scheme 'agadcr' compares spending"):
        coarse_transition_counts(mixed, **WINDOW, universes={"money": rules_of("agadcr").parameters()})


def test_too_few_or_too_many_universes_and_other_periods_are_refused() -> None:
    made, one = tables_of(random_people(1, 3)), rules_of("nadc").parameters()
    with pytest.raises(StudyError, match="expected at least one universe"):
        coarse_transition_counts(made, **WINDOW, universes={})
    for number in (1, DIGITS + 1):
        with pytest.raises(StudyError, match=f"expected 2 to 20 universes.*came {number};"):
            agreement_counts(made, **WINDOW, universes={f"u{i}": one for i in range(number)})
    with pytest.raises(StudyError, match="expected period='month', the only one there is; came 'week'"):
        coarse_transition_counts(made, **WINDOW, universes={"nadc": one}, period="week")
