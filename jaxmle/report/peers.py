"""What other tools call the attributes of a fit: understood, and answered with our name."""

PEERS = {
    "bse": "std_errors", "se": "std_errors", "stderr": "std_errors", "standard_errors": "std_errors",
    "llf": "log_likelihood", "loglik": "log_likelihood", "logLik": "log_likelihood", "loglike": "log_likelihood",
    "coef_": "coef", "coefficients": "coef", "params_": "params", "estimates": "coef",
    "vcov": "covariance()", "cov_params": "covariance()", "cov": "covariance()",
    "conf_int": "confint()", "nobs": "n_obs", "n": "n_obs", "pvalues": "p_values", "pvalue": "p_values",
    "tvalues": "z_values", "zvalues": "z_values", "success": "converged", "n_iter_": "n_steps", "nit": "n_steps",
    "fval": "log_likelihood", "fun": "log_likelihood", "nll": "log_likelihood", "df_model": "df", "AIC": "aic",
    "BIC": "bic", "message": "certificate",
    "fittedvalues": "predict()", "fitted_values": "predict()", "resid": "residuals()", "prsquared": "pseudo_r2()",
    "pearson_chi2": "pearson_statistic", "llnull": "null.log_likelihood", "null_deviance": "null.deviance",
}  # fmt: skip
