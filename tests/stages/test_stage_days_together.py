"""Days that lie in the same periods, today and when a window ends, and what is added up over them."""

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.data.reduction import Tables
from lcm_research.stages.alike import days_alike
from lcm_research.stages.calendar import months, period_of_each_day
from lcm_research.stages.events import changes, days_together
from lcm_research.stages.rules import stage_rules
from lcm_research.stages.steps import activity

CALENDAR = months(observation_start_day=18_993, as_of_day=19_173)  # January to June 2022
FIRST, LAST = 18_993, 19_173


def periods(day: int, after: list[int]) -> list[int]:
    """Count the months that began by each of some later days; one more once the calendar is over."""
    begins = [*CALENDAR["start_day"], LAST + 1]
    return [sum(start <= day + days for start in begins) for days in after]


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(1, 400), max_size=3))
def test_days_together_are_in_the_same_months_and_leave_in_the_same_months(after: set[int]) -> None:
    offsets = [0, *after]
    together = days_together(CALENDAR, offsets)
    assert together["day"].iloc[-1] == LAST
    counts_as = together.set_index("day")["counts_as"]
    for day, last in counts_as.items():
        assert periods(day, offsets) == periods(last, offsets)
        assert day == LAST or (counts_as[day + 1] == last) == (periods(day, offsets) == periods(day + 1, offsets))
    # nothing that is earlier still is in the window
    assert periods(together["day"].iloc[0], offsets) == [0] * len(offsets)


def test_a_window_that_is_not_over_keeps_its_day_apart() -> None:
    # the calendar ends on June 30; 30 days after May 31 it is June 30, after June 1 it is July 1
    together = days_together(CALENDAR, [0, 30]).set_index("day")["counts_as"]
    may_31, june_1 = LAST - 30, LAST - 29
    assert together[may_31] == may_31
    # 30 days after May 1 it is May 31; from May 2 on it is June
    assert together[may_31 - 30] == may_31 - 30
    assert (together.loc[may_31 - 29 : may_31] == may_31).all()
    assert (together.loc[june_1:] == LAST).all()


def test_days_that_rules_tell_apart_are_not_together() -> None:
    apart = days_alike(stage_rules("nadc", window_days=180), CALENDAR)
    together = days_together(CALENDAR, [0, 30], apart)
    told = apart.set_index("day")["counts_as"].reindex(together["day"]).bfill().to_numpy()
    last = apart.set_index("day")["counts_as"].reindex(together["counts_as"]).bfill().to_numpy()
    assert (told == last).all()
    assert together["counts_as"].nunique() > days_together(CALENDAR, [0, 30])["counts_as"].nunique()


@pytest.fixture
def tables() -> Tables:
    """Return the tables of one customer: three purchases, a return, and four likes."""
    bought = pd.DataFrame(
        {
            "transaction_id": list("abcd"),
            "customer_id": "x",
            "ts_us": 0,
            "day": [FIRST - 40, FIRST + 3, FIRST + 5, FIRST + 35],
            "amount_minor": [100, 200, -50, 300],
            "currency": "CNY",
            "is_return": [False, False, True, False],
        }
    )
    likes = pd.DataFrame(
        {
            "event_id": list("efgh"),
            "customer_id": "x",
            "ts_us": 0,
            "action": "like",
            "day": [FIRST + 1] * 2 + [FIRST + 4, LAST],
        }
    )
    people = pd.DataFrame({"customer_id": ["x"], "replicate": [0], "first_seen_at_day": [FIRST - 50]})
    return Tables(
        {k: ibis.memtable(v) for k, v in {"transactions": bought, "engagements": likes, "customers": people}.items()}
    )


def added(tables: Tables, needs: set[str], windows: dict[str, int]) -> pd.DataFrame:
    scheme = stage_rules("intro5", window_days=180, thresholds={"m_cut": 1}).scheme
    found = changes(tables, scheme=scheme, needs=needs, windows=windows, ends=CALENDAR, since=None)
    return activity(found, period_of_each_day(CALENDAR)).to_pandas().set_index("period").sort_index()


def test_what_rows_enter_on_days_together_is_added_up_by_month(tables: Tables) -> None:
    found = added(tables, {"m_w", "m_w_before", "re"}, {"m_w": 30, "m_w_before": 30})
    # bought 40 days before January 1: +100 and -100 again before January; on to the window before that 10 days before
    # January 1, and out of it on January 21. January 4 and 6: +150; on February 3 and 5 on to the window before
    # that, out of it on March 5 and 7. February 5: +300; on March 7 on, out on April 6
    assert found["m_w"].to_dict() == {-1: 0, 0: 150, 1: 150, 2: -300, 3: 0, 5: 0}
    assert found["m_w_before"].to_dict() == {-1: 100, 0: -100, 1: 150, 2: 150, 3: -300, 5: 0}
    assert found["n_period"].to_dict() == {-1: 1, 0: 1, 1: 1, 2: 0, 3: 0, 5: 0}
    # the day itself, not the one that stands for it
    assert found["last_day"].dropna().to_dict() == {-1: FIRST - 40, 0: FIRST + 3, 1: FIRST + 35}
    assert found["re"].dropna().to_dict() == {0: FIRST + 4, 5: LAST}


def test_only_the_first_contact_is_one(tables: Tables) -> None:
    found = added(tables, {"u0"}, {})
    # likes of June are no row: the first was in January, and there was a purchase and a first contact before
    assert found["u0"].to_dict() == {-1: FIRST - 50, 0: FIRST + 1, 1: FIRST + 35}


def test_an_act_repeated_on_its_day_counts_once(tables: Tables) -> None:
    found = added(tables, {"n_acts"}, {"n_acts": 20})
    # January: two likes on the 2nd count once, the like of the 5th takes over until the 25th; June 30: one more
    assert found["n_acts"].to_dict() == {-1: 0, 0: 0, 1: 0, 5: 1}


def test_a_window_of_no_days_holds_nothing(tables: Tables) -> None:
    assert (added(tables, {"n_w"}, {"n_w": 0})["n_w"] == 0).all()
