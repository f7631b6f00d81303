"""The simulated brand: what its files promise, and that its truth can be found again in what it draws."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.data import simulate as simulator
from lcm_research.data.simulate import demo_folder, read_truth, simulate, simulate_tables
from lcm_research.data.simulated.brand import CHANNELS, Brand
from lcm_research.data.simulated.tables import CHUNK_CUSTOMERS
from lcm_research.data.tables import TABLES
from lcm_research.errors import DataError

Tables = dict[str, pd.DataFrame]

KEYS = {name: TABLES[name].key for name in ("customers", "transactions", "touchpoints", "engagements")}
WINDOW_DAYS = 150


@pytest.fixture(scope="module")
def drawn() -> Tables:
    """Twenty thousand customers, with what stands behind them."""
    return simulate_tables(n_customers=20_000, n_months=24, seed=7, keep_latent=True)


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def local(ts: pd.Series) -> pd.Series:
    return ts.dt.tz_convert("Asia/Shanghai").dt.tz_localize(None)


def bought(tables: Tables) -> pd.DataFrame:
    rows = tables["transactions"]
    return rows[~rows["is_return"]]


def hazards(months: pd.DataFrame, by: str) -> pd.Series:
    """Monthly hazard of leaving: a month survived with probability exp(-hazard)."""
    at_risk = months[months["alive_at_start"]]
    return -np.log1p(-at_risk.groupby(by)["left"].mean())


# --- the same answer twice -------------------------------------------------------------------------------


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate(tmp_path / name, n_customers=300, n_months=12, seed=seed)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert not set(hashes(tmp_path / "a").values()) & set(hashes(tmp_path / "c").values())


def test_a_full_chunk_does_not_depend_on_how_many_customers_follow() -> None:
    small = simulate_tables(n_customers=CHUNK_CUSTOMERS, n_months=6, seed=3)
    large = simulate_tables(n_customers=CHUNK_CUSTOMERS + 50, n_months=6, seed=3)
    for name, table in small.items():
        pd.testing.assert_frame_equal(table, large[name].iloc[: len(table)])
    assert len(large["customers"]) == CHUNK_CUSTOMERS + 50


def test_files_hold_the_tables_and_truth_counts_their_rows(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "brand", n_customers=400, n_months=12, seed=5)
    tables = simulate_tables(n_customers=400, n_months=12, seed=5, keep_latent=True)
    for name in KEYS:
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "brand" / f"{name}.parquet"), tables[name])
    assert (truth.n_transactions, truth.n_touchpoints, truth.n_engagements) == tuple(
        len(tables[name]) for name in ("transactions", "touchpoints", "engagements")
    )
    purchases = bought(tables)
    assert (truth.n_purchases, truth.n_buyers) == (len(purchases), purchases["customer_id"].nunique())
    months, causes = tables["latent_months"], tables["latent_purchases"].set_index("transaction_id")["cause"]
    assert (truth.n_left, truth.n_came_back) == (months["left"].sum(), months["came_back"].sum())
    assert truth.n_never_buy == (~tables["latent_customers"]["buys"]).sum()
    of_purchases = causes[purchases["transaction_id"]]
    assert {**of_purchases.value_counts(), "baseline": 0} == {
        **{name: n for name, n in truth.n_added.items() if n},
        "baseline": 0,
    }


# --- the contract ----------------------------------------------------------------------------------------


def assert_contract(tables: Tables, n_months: int) -> None:
    customers = tables["customers"]
    first_seen = customers.set_index("customer_id")["first_seen_at"]
    assert first_seen.min() >= pd.Timestamp("2022-01-01", tz="Asia/Shanghai")
    start = pd.Timestamp("2023-01-01", tz="Asia/Shanghai")
    for name, key in KEYS.items():
        table = tables[name]
        assert table[key].is_unique
        assert table.notna().all(axis=None)
        assert set(table.columns) - set(TABLES[name].columns) <= {"is_member"}
        if name != "customers":
            assert table["customer_id"].isin(first_seen.index).all()
            assert (table["ts"] >= start).all()
            assert (table["ts"] < start + pd.DateOffset(months=n_months)).all()
            assert (table["ts"] >= table["customer_id"].map(first_seen)).all()
    amount, is_return = tables["transactions"]["amount"], tables["transactions"]["is_return"]
    assert ((amount < 0) == is_return).all()
    np.testing.assert_array_equal(np.round(amount, 2), amount)
    assert (amount != 0).all()


def test_drawn_tables_keep_the_contract(drawn: Tables) -> None:
    assert_contract(drawn, 24)
    assert {str(drawn[name]["ts"].dtype) for name in ("transactions", "touchpoints", "engagements")} == {
        "datetime64[us, UTC]"
    }
    assert set(drawn["touchpoints"]["channel"]) == {channel.name for channel in CHANNELS}
    assert set(drawn["touchpoints"]["touch_type"]) == {"impression", "click", "view", "visit", "message"}
    assert set(drawn["transactions"]["currency"]) == {"CNY"}


@settings(max_examples=25, deadline=None)
@given(n_customers=st.integers(1, 40), n_months=st.integers(1, 30), seed=st.integers(0, 2**40))
def test_any_size_keeps_the_contract(n_customers: int, n_months: int, seed: int) -> None:
    tables = simulate_tables(n_customers=n_customers, n_months=n_months, seed=seed)
    assert len(tables["customers"]) == n_customers
    assert_contract(tables, n_months)


def test_goods_come_back_after_they_were_bought_and_for_the_price_paid(drawn: Tables) -> None:
    rows = drawn["transactions"]
    back = rows[rows["is_return"]]
    assert 0.03 < len(back) / (~rows["is_return"]).sum() < 0.07
    pairs = back.assign(paid=-back["amount"]).merge(
        bought(drawn), left_on=["customer_id", "paid", "category"], right_on=["customer_id", "amount", "category"]
    )
    # goods bought in the year before the files begin, or at their very start, have no purchase in them
    assert len(pairs) > 0.97 * len(back)
    # a customer may have paid the same price twice: some purchase at that price was a day before
    days_before = (pairs["ts_x"] - pairs["ts_y"]).groupby(pairs["transaction_id_x"]).max()
    assert (days_before >= pd.Timedelta(days=1)).all()


def test_first_touch_of_a_customer_is_its_acquisition(drawn: Tables) -> None:
    first = drawn["touchpoints"].drop_duplicates("customer_id").set_index("customer_id")
    customers = drawn["customers"].set_index("customer_id")
    new = customers[customers["first_seen_at"] >= pd.Timestamp("2023-01-01", tz="Asia/Shanghai")]
    assert (first.loc[new.index, "ts"] == new["first_seen_at"]).all()
    assert (first.loc[new.index, "channel"] == new["acquisition_channel"]).mean() > 0.99  # two touches in one second


def test_a_day_depends_on_the_time_zone(tmp_path: Path) -> None:
    # an hour after local midnight is five in the afternoon of the day before in UTC
    truth = simulate(tmp_path / "brand", n_customers=500, n_months=12, seed=11)
    ts = bought(simulate_tables(n_customers=500, n_months=12, seed=11))["ts"]
    other_day = local(ts).dt.date.to_numpy() != ts.dt.date.to_numpy()
    assert truth.n_purchases_on_another_utc_day == other_day.sum()
    assert 0.05 < other_day.mean() < 0.25
    assert (local(ts).dt.hour[other_day] < 8).all()


# --- the truth, found again ------------------------------------------------------------------------------


def test_hazard_ratios_of_engagement_and_membership_are_found_in_the_true_months(drawn: Tables) -> None:
    months = drawn["latent_months"].merge(drawn["latent_customers"], on="customer_id")
    at_risk = months[months["alive_at_start"]]
    cells = at_risk.groupby(["engaged_before", "is_member"])["left"].agg(["sum", "count"]).reset_index()
    design = sm.add_constant(cells[["engaged_before", "is_member"]].astype(float))
    outcome = np.column_stack([cells["sum"], cells["count"] - cells["sum"]])
    # a hazard that is constant within the month: P(leave) = 1 - exp(-hazard), the complementary log-log link
    fit = sm.GLM(outcome, design, family=sm.families.Binomial(sm.families.links.CLogLog())).fit()
    truth = np.log([Brand().leaving_hazard_monthly, Brand().engaged_hazard_ratio, Brand().member_hazard_ratio])
    assert (np.abs(fit.params - truth) < 3 * fit.bse).all()
    assert (fit.bse < 0.05).all()


def test_ever_engaged_looks_protective_even_where_engagement_does_nothing() -> None:
    null = simulate_tables(
        n_customers=10_000, n_months=24, seed=2, brand=Brand(engaged_hazard_ratio=1.0), keep_latent=True
    )
    months = null["latent_months"]
    months = months.assign(ever=months.groupby("customer_id")["engaged"].transform("any"))
    month_before, ever = hazards(months, "engaged_before"), hazards(months, "ever")
    assert month_before[True] / month_before[False] == pytest.approx(1, abs=0.08)
    assert ever[True] / ever[False] < 0.7


@pytest.mark.parametrize("brand", ["drawn", "followed"])
def test_nothing_is_done_by_those_who_left_but_goods_returned(brand: str, request: pytest.FixtureRequest) -> None:
    drawn = request.getfixturevalue(brand)
    months = drawn["latent_months"][["customer_id", "month", "from_day", "to_day"]]
    for name, rows in (("purchases", bought(drawn)), ("touches", drawn["touchpoints"]), ("acts", drawn["engagements"])):
        when = local(rows["ts"])
        dated = pd.DataFrame(
            {
                "customer_id": rows["customer_id"],
                "month": (when.dt.year - 2023) * 12 + when.dt.month - 1,
                "day": (when.dt.normalize() - pd.Timestamp("1970-01-01")).dt.days,
            }
        )
        lived = dated.merge(months, on=["customer_id", "month"], how="left")
        assert ((lived["from_day"] <= lived["day"]) & (lived["day"] < lived["to_day"])).all(), name


def test_a_life_goes_on_until_left_and_from_coming_back(drawn: Tables) -> None:
    months = drawn["latent_months"]
    follows = months.assign(alive_next=months.groupby("customer_id")["alive_at_start"].shift(-1))
    follows = follows[follows["alive_next"].notna()]
    arrived = (follows["month"] > 0) & ~follows.duplicated("customer_id")
    alive_at_end = (follows["alive_at_start"] & ~follows["left"]) | follows["came_back"] | arrived
    before = follows["month"] == 0  # new there, or known from the year before
    assert (follows["alive_next"] == alive_at_end)[~before].all()

    starts = pd.date_range("2023-01-01", periods=25, freq="MS")
    start_day = pd.Series((starts - pd.Timestamp("1970-01-01")).days)
    begin, end = months["month"].map(start_day), (months["month"] + 1).map(start_day)
    assert ((months["to_day"] < end) == months["left"]).all()
    assert (months["from_day"] == begin)[months["alive_at_start"]].all()
    assert (months["from_day"] >= begin).all()
    # any day of the month is as likely: 29 of 30 are not the first
    assert (months["from_day"] > begin)[months["came_back"]].mean() == pytest.approx(29 / 30, abs=0.02)
    assert (months["to_day"] > begin)[months["left"]].mean() == pytest.approx(29 / 30, abs=0.02)
    gone = ~months["alive_at_start"] & ~months["came_back"] & months.duplicated("customer_id")
    assert (months["from_day"] == months["to_day"])[gone].all()


def test_some_leave_and_some_come_back_for_a_second_life(drawn: Tables) -> None:
    months = drawn["latent_months"]
    gone = ~months["alive_at_start"]
    entry_month = months.groupby("customer_id")["month"].transform("min")
    new = drawn["customers"].set_index("customer_id")["first_seen_at"] >= pd.Timestamp("2023-01-01", tz="Asia/Shanghai")
    waiting = months[gone & (~months["customer_id"].map(new) | (months["month"] > entry_month))]
    came_back = waiting["came_back"].mean()
    expected = -np.expm1(-Brand().return_hazard_monthly)  # 0.0247 a month
    assert came_back == pytest.approx(expected, abs=3 * np.sqrt(expected / len(waiting)))
    assert not months.loc[months["alive_at_start"], "came_back"].any()


def test_activity_moves_purchases_engagement_and_membership_in_proportion(drawn: Tables) -> None:
    who = drawn["latent_customers"].set_index("customer_id")
    months = drawn["latent_months"]
    who["days"] = (months["to_day"] - months["from_day"]).groupby(months["customer_id"]).sum()
    causes = drawn["latent_purchases"].set_index("transaction_id")["cause"]
    rows = bought(drawn)
    rows = rows[(causes[rows["transaction_id"]] == "baseline").to_numpy()]
    who["purchases"] = rows.groupby("customer_id").size()
    who["acts"] = drawn["engagements"].groupby("customer_id").size()
    who = who[who["days"] > 0].fillna(0)
    who["weight"] = who["activity"] * who["days"]
    who["buying_weight"] = who["weight"] * who["buys"]
    who["third"] = pd.qcut(who["activity"], 3, labels=False)
    thirds = who.groupby("third")[["purchases", "buying_weight", "acts", "weight"]].sum()
    for rate in (thirds["purchases"] / thirds["buying_weight"], thirds["acts"] / thirds["weight"]):
        assert rate.max() / rate.min() == pytest.approx(1, abs=0.08)
    assert not who.loc[~who["buys"], "purchases"].any()
    members = who.groupby("third")["is_member"].mean()
    assert members[2] > 1.5 * members[1] > 2 * members[0]


def test_the_most_used_channel_adds_nothing_and_is_where_the_active_are(drawn: Tables) -> None:
    touches = drawn["touchpoints"]
    assert touches["channel"].value_counts().idxmax() == "douyin"
    assert Brand().effects["douyin"] == 0
    activity = drawn["latent_customers"].set_index("customer_id")["activity"]
    by_channel = touches["customer_id"].map(activity).groupby(touches["channel"]).mean()
    assert by_channel.idxmax() == "douyin"
    effective = {name for name, effect in Brand().effects.items() if effect > 0}
    assert set(drawn["latent_purchases"]["cause"]) == {"baseline", *effective}


def test_each_touch_adds_the_purchases_that_its_channel_promises(drawn: Tables) -> None:
    buys = drawn["latent_customers"].set_index("customer_id")["buys"]
    touches = drawn["touchpoints"]
    n_touches = touches.loc[touches["customer_id"].map(buys), "channel"].value_counts()
    rows = bought(drawn)
    n_added = drawn["latent_purchases"].set_index("transaction_id")["cause"][rows["transaction_id"]].value_counts()
    for channel in CHANNELS:
        if channel.effect == 0:
            continue
        expected = channel.effect * n_touches[channel.name]
        # one in a hundred is lost: the customer left, or the window ended, within the delay
        assert -3 * np.sqrt(expected) - 0.02 * expected < n_added[channel.name] - expected < 3 * np.sqrt(expected)


def test_an_added_purchase_follows_its_touch_within_days(drawn: Tables) -> None:
    causes = drawn["latent_purchases"].set_index("transaction_id")["cause"]
    rows = bought(drawn)
    rows = rows[(causes[rows["transaction_id"]] == "search").to_numpy()].sort_values("ts")
    touches = drawn["touchpoints"].query("channel == 'search'")[["customer_id", "ts"]].sort_values("ts")
    pairs = pd.merge_asof(
        rows, touches.assign(touched=touches["ts"]), on="ts", by="customer_id", allow_exact_matches=False
    )
    days = (pairs["ts"] - pairs["touched"]).dt.total_seconds() / 86_400
    assert days.notna().mean() > 0.99  # but for touches of the days before the files begin
    # exponential with mean 2, a bit less to the last touch: 1 - exp(-2) = 0.86 within 4 days
    assert (days < 4).mean() == pytest.approx(0.88, abs=0.03)
    assert days.mean() == pytest.approx(1.9, abs=0.2)


def test_promotions_and_seasons_are_visible(drawn: Tables) -> None:
    when = local(bought(drawn)["ts"])
    by_month = when.dt.to_period("M").value_counts().sort_index()
    for year in ("2023", "2024"):
        assert by_month[f"{year}-11"] > 1.4 * by_month[f"{year}-10"]
        assert by_month[f"{year}-12"] > by_month[f"{year}-10"]
        assert by_month[f"{year}-06"] > 1.2 * by_month[f"{year}-05"]
    november = when[when.dt.month == 11]
    # 0.3 moved there and 3 of 30 days of the rest: 0.3 + 0.7 * 0.1 = 0.37
    assert november.dt.day.isin([9, 10, 11]).mean() == pytest.approx(0.35, abs=0.05)


def test_region_age_and_consent_bear_on_nothing(drawn: Tables) -> None:
    months = drawn["latent_months"].merge(drawn["customers"], on="customer_id")
    for column in ("region", "age_band", "consent_analytics"):
        hazard = hazards(months, column)
        assert hazard.max() / hazard.min() < 1.15
    assert drawn["customers"]["consent_analytics"].mean() == pytest.approx(0.93, abs=0.01)


def test_the_demo_can_answer_its_questions() -> None:
    tables = simulate_tables(n_customers=5_000, n_months=24, seed=simulator.DEMO_SEED)
    assert 20_000 < len(tables["transactions"]) < 40_000
    assert 60_000 < len(tables["touchpoints"]) < 120_000
    assert 60_000 < len(tables["engagements"]) < 150_000
    rows = bought(tables)
    days = rows.assign(day=local(rows["ts"]).dt.normalize()).drop_duplicates(["customer_id", "day"])
    days = days.sort_values(["customer_id", "day"])
    next_day = days.groupby("customer_id")["day"].shift(-1).fillna(pd.Timestamp("2024-12-31"))
    lapses = (next_day - days["day"]).dt.days > WINDOW_DAYS
    assert lapses.sum() > 300
    n_days = days.groupby("customer_id").size()
    assert 0.1 < (n_days == 1).mean() < 0.35
    assert 0.1 < 1 - len(n_days) / 5_000 < 0.5  # prospects who never bought


# --- engagement that follows something else ---------------------------------------------------------------


@pytest.fixture(scope="module")
def followed() -> Tables:
    """Twenty thousand customers whose engagement follows their purchases."""
    brand = Brand(engagement_follows="purchases")
    return simulate_tables(n_customers=20_000, n_months=24, seed=8, brand=brand, keep_latent=True)


def whole_periods(tables: Tables) -> pd.DataFrame:
    """Periods of 30 days from the first purchase of new customers, lived to their end: purchase days, engaged."""
    start = pd.Timestamp("2023-01-01", tz="Asia/Shanghai")
    new = tables["customers"].loc[tables["customers"]["first_seen_at"] >= start, "customer_id"]
    months = tables["latent_months"]
    left = months.loc[months["left"]].groupby("customer_id")["to_day"].min().reindex(new).fillna(19358 + 731)
    rows = bought(tables).assign(day=lambda t: day_number(t["ts"]))[["customer_id", "day"]].drop_duplicates()
    rows = rows[rows["customer_id"].isin(new)]
    first = rows.groupby("customer_id")["day"].min()
    acts = tables["engagements"].assign(day=lambda t: day_number(t["ts"]))
    made = []
    for period in range(5):
        begin = first + 30 * period
        lived = first.index[begin + 30 <= left[first.index]]
        so_far = rows[rows["day"] <= rows["customer_id"].map(begin)].groupby("customer_id").size()
        offset = acts["day"] - acts["customer_id"].map(begin)
        engaged = set(acts.loc[(offset >= 0) & (offset < 30), "customer_id"])
        own = {"n_days": so_far[lived], "engaged": [c in engaged for c in lived], "period": period}
        made.append(pd.DataFrame(own, index=lived))
    found = pd.concat(made).reset_index()
    return found.merge(tables["latent_customers"][["customer_id", "activity"]], on="customer_id")


def day_number(ts: pd.Series) -> pd.Series:
    return (local(ts).dt.normalize() - pd.Timestamp("1970-01-01")).dt.days


def test_engagement_follows_purchase_days_and_given_them_tells_nothing_of_activity(followed: Tables) -> None:
    periods = whole_periods(followed)
    brand = Brand()
    periods["factor"] = pd.cut(periods["n_days"], [0, 1, 3, 1_000], labels=[0.3, 1.0, 3.0]).astype(float)
    for factor, rows in periods.groupby("factor"):
        # sessions are Poisson over 30 days: 1 - exp(-factor * .8 * 30 / 30.44)
        expected = -np.expm1(-factor * brand.sessions_monthly * 30 / 30.4375)
        assert rows["engaged"].mean() == pytest.approx(expected, abs=3 * (expected * (1 - expected) / len(rows)) ** 0.5)
        apart = rows.groupby("engaged")["activity"].agg(["mean", "var", "count"])
        error = np.sqrt((apart["var"] / apart["count"]).sum())
        assert abs(apart["mean"][True] - apart["mean"][False]) < 3 * error
    engaged = periods.groupby("engaged")["activity"].mean()
    assert engaged[True] > 1.15 * engaged[False]


def test_where_engagement_follows_activity_purchases_do_not_tell_all_of_it(drawn: Tables) -> None:
    periods = whole_periods(drawn)
    apart = periods[periods["n_days"].between(2, 3)].groupby("engaged")["activity"].agg(["mean", "var", "count"])
    assert apart["mean"][True] - apart["mean"][False] > 5 * np.sqrt((apart["var"] / apart["count"]).sum())


@pytest.mark.parametrize("follows", ["purchases", "chance"])
def test_engaging_lowers_the_hazard_whatever_it_follows(follows: str) -> None:
    brand = Brand(engagement_follows=follows, member_hazard_ratio=1.0)  # type: ignore[arg-type]
    drawn = simulate_tables(n_customers=20_000, n_months=24, seed=8, brand=brand, keep_latent=True)
    hazard = hazards(drawn["latent_months"], "engaged_before")
    assert hazard[False] == pytest.approx(brand.leaving_hazard_monthly, rel=0.05)
    assert hazard[True] / hazard[False] == pytest.approx(brand.engaged_hazard_ratio, rel=0.06)
    if follows == "chance":
        months = drawn["latent_months"].merge(drawn["latent_customers"], on="customer_id")
        whole = months[months["alive_at_start"] & ~months["left"]]
        share = whole["engaged"].groupby(pd.qcut(whole["activity"], 3, labels=False)).mean()
        assert share.tolist() == pytest.approx([-np.expm1(-brand.sessions_monthly)] * 3, abs=0.015)


def test_purchases_do_not_depend_on_what_engagement_follows(drawn: Tables, followed: Tables) -> None:
    def monthly(tables: Tables) -> tuple[float, float]:
        months = tables["latent_months"]
        alive = (months["to_day"] - months["from_day"]).sum() / 30.4
        causes = tables["latent_purchases"].set_index("transaction_id")["cause"][bought(tables)["transaction_id"]]
        return len(causes) / alive, (causes == "baseline").mean()

    for one, other in zip(monthly(drawn), monthly(followed), strict=True):
        assert one == pytest.approx(other, rel=0.03)


# --- files -----------------------------------------------------------------------------------------------


def test_truth_is_read_as_it_was_written_also_for_another_brand(tmp_path: Path) -> None:
    brand = Brand(engaged_hazard_ratio=1.0, engagement_follows="purchases", channels=CHANNELS[:3])
    truth = simulate(tmp_path / "brand", n_customers=50, n_months=6, seed=1, brand=brand)
    assert truth.brand == brand
    assert read_truth(tmp_path / "brand") == truth
    assert (truth.observation_start, truth.as_of, truth.timezone) == ("2023-01-01", "2023-06-30", "Asia/Shanghai")
    with pytest.raises(DataError, match="another simulation"):
        simulate(tmp_path / "brand", n_customers=50, n_months=6, seed=1)


def test_an_interrupted_simulation_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(simulator, "_truth", stop)
    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "brand", n_customers=50, n_months=6, seed=1)
    assert list(tmp_path.iterdir()) == []


def test_a_complete_folder_is_never_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = simulate(tmp_path / "brand", n_customers=50, n_months=6, seed=1)
    monkeypatch.setattr(simulator, "_write", lambda *_: pytest.fail("written again"))
    assert simulate(tmp_path / "brand", n_customers=50, n_months=6, seed=1) == first
    with pytest.raises(DataError, match=r"n_customers=50, n_months=6, seed=1\) than .*n_customers=50.*seed=2"):
        simulate(tmp_path / "brand", n_customers=50, n_months=6, seed=2)


def test_a_folder_of_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match=r"no truth\.json"):
        simulate(tmp_path, n_customers=50, n_months=6, seed=1)
    with pytest.raises(DataError, match=r"thesis\.txt is a file"):
        simulate(tmp_path / "thesis.txt", n_customers=50, n_months=6, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_loser_of_a_race_takes_the_winners_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, write = tmp_path / "brand", simulator._write

    def be_overtaken(*given: object) -> None:
        write(*given)  # type: ignore[arg-type]
        monkeypatch.setattr(simulator, "_write", write)
        simulate(folder, n_customers=50, n_months=6, seed=1)

    monkeypatch.setattr(simulator, "_write", be_overtaken)
    truth = simulate(folder, n_customers=50, n_months=6, seed=1)
    assert truth == read_truth(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["brand"]


def test_two_processes_at_once_find_the_same_complete_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LCM_CACHE", str(tmp_path))
    code = "from lcm_research.data.simulate import demo_folder; print(demo_folder(n_customers=2000, n_months=12))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=60)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert said == {str(demo_folder(n_customers=2000, n_months=12))}
    assert [path.name for path in tmp_path.iterdir()] == [Path(*said).name]
    assert set(hashes(Path(*said))) == {*(f"{name}.parquet" for name in KEYS), "truth.json"}


def test_demo_folders_differ_by_what_was_asked_and_by_the_simulators_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LCM_CACHE", str(tmp_path))
    first = demo_folder(n_customers=20, n_months=6)
    assert demo_folder(n_customers=20, n_months=6) == first
    assert demo_folder(n_customers=20, n_months=6, seed=9) != first
    monkeypatch.setattr(simulator, "_source_hash", lambda: "another simulator")
    assert demo_folder(n_customers=20, n_months=6) != first


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_customers": 0}, "n_customers of at least 1; came 0"),
        ({"n_months": 0}, "n_months of at least 1; came 0"),
        ({"seed": -1}, "seed of at least 0; came -1"),
    ],
)
def test_impossible_sizes_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        simulate_tables(**({"n_customers": 10, "n_months": 6, "seed": 1} | sizes))
