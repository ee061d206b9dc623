"""Cox regression: against R's survival, statsmodels, closed forms and the definition of the partial likelihood."""

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.infer.concordance import concordance
from jaxmle.objective.rebuild import log_density_of

from ..conftest import SHARED

close = np.testing.assert_allclose


def partial_likelihood(model, data, **coefficients) -> float:
    """The log partial likelihood at given coefficients."""
    return float(log_density_of(model, {"log_hazard": np.array(list(coefficients.values()))}, data).sum())


def by_definition(beta, x, time, event, entry=None, stratum=None, ties="efron") -> float:
    """The same, risk set by risk set."""
    entry = np.full(len(time), -np.inf) if entry is None else entry
    stratum = np.zeros(len(time)) if stratum is None else stratum
    eta, total = x @ np.atleast_1d(beta), 0.0
    for s in np.unique(stratum):
        for t in np.unique(time[(stratum == s) & event]):
            dead = (stratum == s) & event & (time == t)
            risk = np.exp(eta[(stratum == s) & (time >= t) & (entry < t)]).sum()
            d, tied = dead.sum(), np.exp(eta[dead]).sum()
            gone = np.arange(d) / d * tied if ties == "efron" else np.zeros(d)
            total += eta[dead].sum() - np.log(risk - gone).sum()
    return total


def simulated(n: int, seed: int = 0) -> dict:
    """Times with many ties, entries and strata."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.integers(0, 2, n).astype(float)
    time = np.ceil(5 * rng.exponential(size=n) * np.exp(-0.5 * x + 0.3 * z)) + 1.0
    entry = np.where(rng.random(n) < 0.3, np.nan, np.floor(time * rng.random(n)))
    return {"x": x, "z": z, "time": time, "died": rng.random(n) < 0.7, "entry": entry, "site": rng.integers(0, 3, n)}


# --- the likelihood -----------------------------------------------------------------------------------------------------


def test_tied_deaths_by_hand():
    """Three deaths of relative hazards 1, r, r², the first two at one time."""
    data = {"t": np.array([1.0, 1.0, 2.0]), "x": np.array([0.0, 1.0, 2.0])}
    r = np.exp(0.3)
    all_three = 1 + r + r**2
    efron = np.log(r / (all_three * (all_three - 0.5 * (1 + r))))
    breslow = np.log(r / all_three**2)
    close(partial_likelihood(jm.cox("t ~ x"), data, x=0.3), efron, rtol=1e-14)
    close(partial_likelihood(jm.cox("t ~ x", ties="breslow"), data, x=0.3), breslow, rtol=1e-14)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_every_risk_set_is_that_of_the_definition(late: bool, ties: str):
    data = simulated(120)
    model = jm.cox("time ~ x + z", event="died", ties=ties, strata="site", entry="entry" if late else None)
    entry = np.where(np.isnan(data["entry"]), -np.inf, data["entry"]) if late else None
    expected = by_definition(
        [0.7, -1.1], np.stack([data["x"], data["z"]], 1), data["time"], data["died"], entry, data["site"], ties
    )
    close(partial_likelihood(model, data, x=0.7, z=-1.1), expected, rtol=1e-13)


@pytest.mark.parametrize("entry", [None, "entry"])
def test_predictors_far_apart_lose_no_digit(entry):
    """Hazards that differ by e^900, where a running sum of exponentials is zero or infinite."""
    data = {"t": np.array([1.0, 2.0, 3.0, 4.0]), "x": np.array([0.0, 900.0, -900.0, 1.0]), "entry": np.zeros(4)}
    found = partial_likelihood(jm.cox("t ~ x", entry=entry), data, x=1.0)
    sums = [np.logaddexp.reduce(data["x"][i:]) for i in range(4)]
    close(found, data["x"].sum() - sum(sums), rtol=1e-14)


def test_weights_are_frequencies_where_ties_are_breslows():
    data = simulated(60)
    number = np.random.default_rng(1).integers(0, 4, 60)
    many = {k: np.repeat(v, number) for k, v in data.items()}
    model = jm.cox("time ~ x + z", event="died", ties="breslow")
    fit = jm.fit(model, data, weights=number)
    x, event = np.stack([many["x"], many["z"]], 1), many["died"].astype(bool)
    of = lambda beta: by_definition(beta, x, many["time"], event, ties="breslow")
    beta = fit.params["log_hazard"]
    close(fit.log_likelihood, of(beta), rtol=1e-12)
    close([of(beta + step) - of(beta - step) for step in 1e-4 * np.eye(2)], 0.0, atol=1e-8)
    first = many["time"][event].min()
    risk = np.exp(x[many["time"] >= first] @ beta).sum()
    close(fit.baseline.hazard[0], (event & (many["time"] == first)).sum() / risk, rtol=1e-10)
    with pytest.raises(jm.DataError, match="ties='breslow'"):
        jm.fit(jm.cox("time ~ x", event="died"), data, weights=number)


# --- R's survival 3.5.3 on lung (North Central Cancer Treatment Group; 227 rows without missing values) -----------------


@pytest.fixture(scope="module")
def lung():
    path = SHARED / "lung.csv"
    if not path.exists():
        pytest.skip("the reference cases are not part of this repository")
    table = np.genfromtxt(path, delimiter=",", names=True)
    data = {name: table[name] for name in table.dtype.names}
    data["entry"] = np.minimum(data["time"] - 1, data["age"] * 7 % 200)
    return data | {"status": data["event"] + 1, "inst": np.arange(len(table)) % 17}


TERMS = "time ~ age + female + ph_ecog"

R = {
    # coxph(Surv(time, event) ~ age + female + ph_ecog): logLik, coef, se, robust se, cluster(inst) se
    "efron": (-729.230121375, [0.0110667645601, -0.5526123957036, 0.4637284753704],
              [0.0092674110137, 0.1677390537873, 0.1135772661620],
              [0.00988139278009, 0.16474842795208, 0.12415884861318]),
    "breslow": (-729.488705177, [0.0110411363495, -0.5518895697876, 0.4629470405902],
                [0.00926677011354, 0.16774244802102, 0.11357405206130],
                [0.00986140619335, 0.16448354941708, 0.12396345277861]),
    # coxph(Surv(entry, time, event) ~ age + female + ph_ecog + cluster(id))
    "entry": (-664.319777972, [0.00771878565646, -0.62025426423323, 0.55357081896478],
              [0.0100703892078, 0.1688472764287, 0.1124693820771],
              [0.0121510742609, 0.1724809695760, 0.1300436672129]),
}  # fmt: skip


@pytest.fixture(scope="module")
def fits(lung):
    more = {"efron": {}, "breslow": {"ties": "breslow"}, "entry": {"entry": "entry"}}
    return {name: jm.fit(jm.cox(TERMS, event="status", **m), lung) for name, m in more.items()}


@pytest.mark.parametrize("name", R)
def test_estimates_and_both_standard_errors_are_those_of_r(fits, name: str):
    fit, (log_likelihood, coef, se, robust) = fits[name], R[name]
    assert fit.converged
    assert fit.certificate.only
    close(fit.log_likelihood, log_likelihood, rtol=1e-11)
    close(list(fit.coef.values()), coef, rtol=1e-7)
    close(list(fit.std_errors.values()), se, rtol=1e-7)
    close(np.sqrt(np.diag(fit.covariance("sandwich"))), robust, rtol=1e-7)


def test_clusters_are_those_of_r(fits):
    expected = [0.0104885642478, 0.1430281693961, 0.0837824340858]
    close(np.sqrt(np.diag(fits["efron"].covariance("sandwich", cluster="inst"))), expected, rtol=1e-9)


# basehaz(centered=FALSE); summary(survfit(m, newdata=new), times=c(100, 365, 800)); concordance(m)
NEW = {"age": [50.0, 70.0], "female": [1.0, 0.0], "ph_ecog": [0.0, 2.0]}
SURVIVAL = {
    "efron": ([[0.949045385662, 0.702224855118, 0.356195177629], [0.75075005542765, 0.14402487912928, 0.00348750177553]],
              [[0.0138006420297, 0.0547771931926, 0.0833143992005], [0.04634866404998, 0.04534717302161, 0.00364306188313]]),
    "breslow": ([[0.949054620410, 0.702244013897, 0.356018410612], [0.75139168087559, 0.14482845801009, 0.00353348365102]],
                [[0.0137979675301, 0.0547641116693, 0.0833120683414], [0.04624642503242, 0.04546586528579, 0.00368347210251]]),
    "entry": ([[0.264281914517, 0.196978486572, 0.106204727042], [1.60620241494e-04, 2.33222737344e-05, 4.04121720701e-07]],
              [[0.243054599970, 0.183641341318, 0.103259279152], [1.00452115139e-03, 1.47821795617e-04, 2.66270340817e-06]]),
}  # fmt: skip


@pytest.mark.parametrize("name", R)
def test_survival_with_its_standard_errors_is_that_of_r(fits, name: str):
    at = [100, 365, 800]
    found = fits[name].predict(NEW, "survival", times=at, se=True)
    close(found.estimate, SURVIVAL[name][0], rtol=1e-6)
    close(found.std_error, SURVIVAL[name][1], rtol=1e-6)
    close(np.exp(-fits[name].predict(NEW, "cumulative_hazard", times=365.0)), found.estimate[:, 1], rtol=1e-12)


def test_baseline_and_concordance_are_those_of_r(fits, lung):
    baseline = fits["efron"].baseline
    at = np.searchsorted(baseline.time, [5, 183, 291, 821], side="right") - 1
    close(baseline.cumulative[at], [0.00158984689396, 0.13219335920105, 0.24186488741893, 1.08810930090056], rtol=1e-8)
    found = fits["efron"].concordance()
    assert (found.concordant, found.discordant, found.tied) == (12544, 7117, 126)
    assert found.index == pytest.approx(0.637135493, abs=1e-9)
    found = fits["entry"].concordance(lung)
    assert (found.concordant, found.discordant, found.tied) == (8511, 5057, 92)


def test_strata_are_those_of_r(lung):
    """coxph(Surv(time, event) ~ age + female + ph_ecog + strata(group)), group = row number modulo 3."""
    data, new = lung | {"group": np.arange(len(lung["age"])) % 3}, NEW | {"group": [0, 2]}
    fit = jm.fit(jm.cox(TERMS, event="event", strata="group"), data)
    close(fit.log_likelihood, -550.317500351, rtol=1e-11)
    close(list(fit.coef.values()), [0.0119569400704, -0.5724309691009, 0.4799248724931], rtol=1e-7)
    close(list(fit.std_errors.values()), [0.00947561074721, 0.17415811581317, 0.11607632636318], rtol=1e-7)
    found = fit.predict(new, "survival", times=[100, 365, 800], se=True)
    close(found.estimate[0], [0.957295862644, 0.687363410044, 0.348759578639], rtol=1e-7)
    close(found.std_error[1], [0.0759392197355, 0.0681846553679, 0.0125118085014], rtol=1e-6)
    assert fit.concordance().concordant == 1535 + 1343 + 1268
    assert set(fit.baseline.columns()) == {"group", "time", "hazard", "cumulative", "survival"}
    assert np.isnan(fit.predict(new, "survival", times=5000)).all()
    with pytest.raises(jm.DataError, match=r"strata \(group\) of row 1 were not fitted"):
        fit.predict(new | {"group": [1, 7]}, "survival", times=100)


@pytest.mark.parametrize(
    ("ties", "coef", "errors", "log_likelihood"),
    [
        ("efron", [0.4321183, -0.172742219], [0.107551472, 0.210027204], -289.000285466),
        ("breslow", [0.395615448, -0.151638901], [0.107197544, 0.20972969], -296.519112002),
    ],
)
def test_strata_with_late_entry_as_in_statsmodels(ties: str, coef, errors, log_likelihood):
    """statsmodels 0.15.0, PHReg(time, x, status=, entry=, strata=, ties=).fit(). Its risk sets have who enters at the time of
    an event; here nobody does."""
    data = simulated(150, 3)
    entry = np.where(np.isnan(data["entry"]), 0.0, data["entry"]) + 0.5
    ours = jm.fit(
        jm.cox("time ~ x + z", event="died", ties=ties, entry="entry", strata="site"), data | {"entry": entry}
    )
    close(list(ours.coef.values()), coef, rtol=1e-5)
    close(list(ours.std_errors.values()), errors, rtol=1e-5)
    close(ours.log_likelihood, log_likelihood, rtol=1e-9)


# --- what follows -------------------------------------------------------------------------------------------------------


def test_the_pairs_of_a_concordance_one_by_one():
    rng = np.random.default_rng(0)
    n = 80
    time, event, risk = rng.integers(1, 30, n) * 1.0, rng.random(n) < 0.6, rng.integers(0, 9, n) * 1.0
    stratum, entry = rng.integers(0, 2, n), np.where(rng.random(n) < 0.5, -np.inf, time * 0.5)
    counts = [0, 0, 0]
    for i in np.flatnonzero(event):
        for j in range(n):
            later = time[j] > time[i] or (time[j] == time[i] and not event[j])
            if later and stratum[i] == stratum[j] and entry[j] < time[i]:
                counts[0 if risk[i] > risk[j] else 1 if risk[i] < risk[j] else 2] += 1
    found = concordance(time, event, risk, stratum, entry)
    assert [found.concordant, found.discordant, found.tied] == counts


@pytest.mark.parametrize("entry", [None, pytest.param("entry", marks=pytest.mark.slow)])
def test_a_monotone_likelihood_is_no_optimum(entry):
    """Whoever has `first` dies before all others: its hazard ratio is infinite, the other one is not."""
    data = simulated(60, 5) | {"entry": np.zeros(60)}
    data["first"] = (data["time"] <= np.quantile(data["time"], 0.2)).astype(float)
    data["died"] |= data["first"] > 0
    with pytest.warns(jm.FitWarning, match="separation by first.*log_hazard.first. → .∞"):
        fit = jm.fit(jm.cox("time ~ x + first", event="died", entry=entry), data)
    assert not fit.converged
    assert set(fit.withheld) == {"log_hazard[first]"}
    assert np.isfinite(fit.std_errors["log_hazard[x]"])


@pytest.mark.slow
def test_many_coefficients_and_levels():
    rng = np.random.default_rng(2)
    n, p = 500, 60
    x, level = rng.normal(size=(n, p)), rng.integers(0, 40, n)
    time = rng.exponential(size=n) * np.exp(-0.3 * x[:, 0] - 0.02 * level)
    data = {"t": time, "x": x, "g": level}
    fit = jm.fit(jm.cox("t", log_hazard=jm.Linear("x")), data)
    assert fit.converged
    assert len(fit.coef) == p
    score = np.zeros(p)
    for i in range(n):
        risk = np.exp(x[time >= time[i]] @ fit.params["log_hazard"])
        score += x[i] - risk @ x[time >= time[i]] / risk.sum()
    close(score, 0.0, atol=1e-6)
    fit = jm.fit(jm.cox("t ~ C(g)"), data)
    assert fit.converged
    assert len(fit.coef) == 39


def test_survival_of_a_parametric_family_too():
    data = simulated(80)
    fit = jm.fit(jm.censored(jm.exponential("time ~ x"), event="died"), data)
    rate = np.exp(fit.predict({"x": [0.0, 1.0]}, "linear"))
    close(fit.predict({"x": [0.0, 1.0]}, "survival", times=[1.0, 2.0]), np.exp(-np.outer(rate, [1.0, 2.0])), rtol=1e-10)
    close(fit.predict({"x": [0.0, 1.0]}, "cumulative_hazard", times=3.0), 3 * rate, rtol=1e-10)
    with pytest.raises(jm.ModelError, match="Cox model"):
        fit.baseline  # noqa: B018


def test_residuals_are_those_of_r(fits):
    """residuals(m, "martingale") and residuals(m, "deviance"), the first three."""
    martingale = fits["efron"].residuals("martingale")
    close(martingale[:3], [0.0438187710827, 0.0445889156280, -2.2218789692895], rtol=1e-7)
    close(martingale.sum(), 0.0, atol=1e-9)
    found = fits["efron"].residuals("deviance")[:3]
    close(found, [0.0444756746319, 0.0452694301427, -2.1080222813289], rtol=1e-7)
    with pytest.raises(jm.ModelError, match="kind='martingale', 'deviance'"):
        fits["efron"].residuals()


def test_a_saved_fit_has_its_model(fits, tmp_path):
    fits["efron"].save(tmp_path / "fit.npz")
    loaded = jm.load(tmp_path / "fit.npz")
    close(loaded.predict(NEW, "linear"), fits["efron"].predict(NEW, "linear"))
    with pytest.raises(jm.ModelError, match="baseline needs data"):
        loaded.predict(NEW, "survival", times=100)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: jm.cox("time"), jm.ModelError, "cox needs terms"),
        (lambda: jm.cox("time ~ 1"), jm.ModelError, "cox needs terms"),
        (lambda: jm.cox(["time", "x"]), jm.ModelError, "one response"),
        (lambda: jm.cox("time ~ x", ties="exact"), jm.ModelError, "'efron' or 'breslow'"),
        (lambda: jm.cox("time ~ x", event=3), jm.ModelError, "name of a column"),
        (lambda: jm.cox("time ~ x", strata=[3]), jm.ModelError, "name of a column or several"),
        (lambda: jm.cox("time ~ x", event="none"), jm.DataError, "No row has an event"),
        (lambda: jm.cox("time ~ x", event="site"), jm.DataError, "'site' has 3 levels"),
        (lambda: jm.cox("time ~ x", event="gone"), jm.DataError, "'gone'"),
        (lambda: jm.cox("time ~ x", entry="late"), jm.DataError, "'late'.*is not before 'time' in row 7"),
    ],
)
def test_what_is_refused(make, error, message: str):
    data = simulated(40)
    data |= {"none": np.zeros(40), "late": np.where(np.arange(40) == 7, data["time"], 0.0)}
    with pytest.raises(error, match=message):
        jm.fit(make(), data)


def test_what_a_row_of_a_cox_model_lacks(fits):
    with pytest.raises(jm.ModelError, match="or 'survival' with times="):
        fits["efron"].predict(NEW)
    with pytest.raises(jm.ModelError, match="needs times="):
        fits["efron"].predict(NEW, "survival")
