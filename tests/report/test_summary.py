"""What a summary says, whatever the fit."""

from dataclasses import replace

import numpy as np
import pytest

from jaxmle.errors import ModelError
from jaxmle.infer.certificate import Certificate
from jaxmle.report.summary import Summary, glance_columns, tidy_columns

from .examples import failed, many, poisson


def text(estimates, width=120, level=0.95, encoding="utf-8"):
    return Summary(estimates, level).text(width, encoding)


def row(shown, label):
    return next(line for line in shown.splitlines() if line.strip().startswith(label + " "))


def test_the_title_line_has_the_fit_in_numbers():
    title = text(poisson()).splitlines()[0]
    aic = 2 * 60613.534 + 2 * 4
    bic = 2 * 60613.534 + np.log(20190) * 4
    for item in (
        "Poisson regression",
        "20,190 rows",
        "log-likelihood −60,613.53",
        f"AIC {aic:,.1f}",
        f"BIC {bic:,.1f}",
    ):
        assert item in title
    assert "observations" not in title


def test_weights_show_as_observations():
    assert "30,000 observations" in text(replace(poisson(), n_obs=30000.0))


def test_terms_stand_under_their_parameter_with_digits_that_their_errors_support():
    shown = text(poisson())
    assert "rate (log link)" in shown.splitlines()
    half = 1.959964 * 0.00491
    age = row(shown, "age")
    for item in ("0.0311", "0.0049", f"[{0.03114 - half:.4f}, {0.03114 + half:.4f}]", "6.34", "2e-10"):
        assert item in age
    assert row(shown, "Intercept").split()[1:3] == ["1.0214", "0.0123"]


def test_the_interval_of_a_positive_number_is_formed_on_the_log_scale_and_zero_is_not_tested():
    shape = row(text(poisson()), "shape")
    half = 1.959964 * 0.0451 / 1.2345
    low, high = 1.2345 * np.exp(-half), 1.2345 * np.exp(half)
    assert f"[{low:.4f}, {high:.4f}]" in shape
    assert shape.split() == ["shape", "1.2345", "0.0451", f"[{low:.4f},", f"{high:.4f}]"]


def test_the_level_is_the_users():
    shown = text(poisson(), level=0.9)
    assert "90 % interval" in shown
    assert f"[{1.02138 - 1.644854 * 0.0123:.4f}" in shown
    with pytest.raises(ModelError, match="between 0 and 1"):
        text(poisson(), level=95)


def test_intervals_are_drawn_against_zero():
    shown = text(poisson())
    age, income = row(shown, "age"), row(shown, "income")
    zero = age.index("┊")
    assert zero < age.index("├") < age.index("●") < age.index("┤")
    assert income.index("├") < income.index("●") < zero <= income.index("┤") + 1
    assert row(shown, "Intercept").endswith("›")  # far from the others
    assert "●" not in row(shown, "shape")


def test_rows_of_different_units_are_not_drawn():
    e = poisson()
    scale = np.array([1e6, 1.0, 1e-3, 1.0])
    assert "●" not in text(replace(e, values=e.values * scale, covariance=e.covariance * np.outer(scale, scale)))


def test_a_narrow_terminal_has_no_drawing_and_no_overlong_lines():
    shown = text(poisson(), width=80)
    assert "●" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_columns_are_aligned():
    lines = text(poisson()).splitlines()
    rows = [line for line in lines if "[" in line]
    assert len({line.index(".") for line in rows}) == 1
    assert len({line.index(",") for line in rows}) == 1


def test_plain_encodings_get_plain_symbols():
    shown = text(
        replace(poisson(), names=("rate[Intercept]", "rate[größe]", "rate[income]", "shape")), encoding="ascii"
    )
    assert shown.isascii()
    assert "OK: optimum proved" in shown
    assert "-0.0201" in shown
    assert "gr\\xf6\\xdfe" in shown
    latin = text(replace(poisson(), title="größe"), encoding="latin-1")
    assert "Größe" in latin
    assert latin.encode("latin-1")


def test_what_was_held_dropped_and_how_it_was_found_is_said():
    e = poisson()
    e = replace(e, params=e.params | {"theta": np.array([1.0, -2.5])}, fixed=("nu", "theta[1]", "rate[x]"))
    shown = text(replace(e, covariance_kind="sandwich", optima=((-60613.5, {}), (-60700.0, {}))))
    assert "held fixed: nu = 3, theta[1] = −2.5, rate[x]" in shown
    assert "12 rows with missing values were dropped" in shown
    assert "standard errors: sandwich" in shown
    assert "2 different optima found, log-likelihood −60,613.50, −60,700.00" in shown
    assert "Newton, 5 steps, 0.11 s (compile 0.42 s)" in shown
    assert "standard errors:" not in text(poisson())


def test_the_certificate_is_quoted_and_wrapped():
    cautions = ("Nearly not identified: " + "a very long combination of parameters, " * 6,)
    shown = text(replace(poisson(), certificate=replace(poisson().certificate, cautions=cautions)), width=100)
    assert "✓ optimum proved: 2e-08 standard errors away" in shown
    assert "! Nearly not identified" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_a_failed_fit_says_so_first_and_gives_reason_and_remedy():
    shown = text(failed(poisson(), "max_steps", "The search ended after 200 steps, 3 standard errors off."))
    assert shown.startswith("✗ NOT CONVERGED (max steps)")
    assert "✗ max steps: The search ended after 200 steps" in shown
    assert "→ Raise max_steps" in shown
    assert "AIC" in shown
    assert "interval" not in shown  # there is none
    assert "NOT CONVERGED" not in text(poisson())


def test_a_withheld_error_is_a_dash_with_its_reason_below():
    e = poisson()
    covariance = e.covariance.copy()
    covariance[1, :] = covariance[:, 1] = covariance[3, :] = covariance[:, 3] = np.nan
    reason = "the information matrix is not positive definite"
    withheld = {"rate[age]": reason, "shape": "the maximum is at the end of its range."}
    shown = text(replace(e, covariance=covariance, withheld=withheld))
    assert "—¹" in row(shown, "age")
    assert "[" not in row(shown, "age")
    assert "—²" in row(shown, "shape")
    assert f"¹ no standard error: {reason}" in shown
    assert "² no standard error: the maximum is at the end of its range" in shown
    assert "--(1)" in text(replace(e, covariance=covariance, withheld=withheld), encoding="ascii")
    assert "0.0123" in row(shown, "Intercept")


def test_a_posterior_mode_is_called_one():
    shown = text(replace(poisson(), subtitle="posterior mode", objective_value=-60620.1))
    assert shown.startswith("Poisson regression, posterior mode")
    assert "log-likelihood −60,613.53" in shown
    assert "penalised −60,620.10" in shown
    assert "AIC" not in shown


def test_long_tables_are_cut_and_say_where_the_rest_is():
    shown = text(many(300))
    assert "theta[39]" in shown
    assert "theta[40]" not in shown
    assert "260 more: fit.tidy()" in shown
    assert "more:" not in text(many(40))


def test_long_names_are_shortened_in_the_middle():
    name = "income_of_the_household_in_the_year_before_the_survey"
    names = ("rate[Intercept]", f"rate[{name}]", "rate[income]", "shape")
    shown = text(replace(poisson(), names=names), width=100)
    assert name not in shown
    assert "income_of" in shown
    assert "the_survey" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_nothing_is_known():
    k = 4
    nothing = np.full(k, np.nan)
    e = replace(
        poisson(),
        values=nothing,
        covariance=np.full((k, k), np.nan),
        withheld=dict.fromkeys(poisson().names, ""),
        log_likelihood=np.nan,
        n_obs=0.0,
        n_rows=0,
        compile_seconds=np.nan,
        run_seconds=np.nan,
        certificate=Certificate("not_finite", "The log-density of row 3 is NaN."),
    )
    shown = text(e)
    assert shown.startswith("✗ NOT CONVERGED (not finite)")
    assert "—" in row(shown, "age")
    assert "The log-density of row 3 is NaN." in shown
    assert "nan" not in shown
    assert Summary(e)._repr_html_()


def test_a_model_without_free_parameters_still_prints():
    e = replace(
        many(1),
        names=(),
        values=np.zeros(0),
        covariance=np.zeros((0, 0)),
        links=(),
        is_location=np.zeros(0, bool),
        groups=(),
        df=0,
    )
    assert "log-likelihood" in text(e)
    assert Summary(e)._repr_html_()


@pytest.mark.parametrize("factor", [1e-12, 1e-5, 1.0, 1e5, 1e12])
def test_any_unit_keeps_the_digits_of_the_estimate(factor):
    e = poisson()
    e = replace(e, values=e.values * factor, covariance=e.covariance * factor**2)
    cells = row(text(e), "Intercept").split()
    value, std_error = (float(cell.replace(",", "").replace("−", "-")) for cell in cells[1:3])
    assert value == pytest.approx(1.02138 * factor, abs=0.006 * 0.0123 * factor)
    assert std_error == pytest.approx(0.0123 * factor, rel=0.01)
    assert len(cells[1]) <= 12


def test_columns_for_frames():
    tidy = tidy_columns(poisson(), 0.95)
    assert list(tidy) == ["term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]
    assert {len(column) for column in tidy.values()} == {4}
    assert tidy["statistic"][1] == pytest.approx(0.03114 / 0.00491)
    assert tidy["p_value"][1] == pytest.approx(2.2648e-10, rel=1e-3)  # 2 Φ(−6.34216)
    assert np.isnan(tidy["p_value"][3])
    assert tidy["conf_low"][3] == pytest.approx(1.2345 * np.exp(-1.959964 * 0.0451 / 1.2345), rel=1e-6)
    glance = glance_columns(poisson())
    assert list(glance) == [
        "n_obs", "df", "log_likelihood", "aic", "bic", "converged", "n_steps", "solver", "covariance"
    ]  # fmt: skip
    assert glance["aic"] == [pytest.approx(121235.068)]
    assert glance["bic"] == [pytest.approx(121227.068 + 4 * np.log(20190))]
    assert glance["converged"] == [True]
    assert all(type(v) in (float, int, bool, str) for column in (*tidy.values(), *glance.values()) for v in column)
