# Rscript fit.R CASE SECONDS REPEATS
# The folder holds as raw float64: X.bin (columns first), y.bin and, for weibull, event.bin.
# One line per fit, as soon as it is known: seconds, clock, code, -log L, estimates, standard errors (NaN for extras).
args <- commandArgs(TRUE)
case <- args[1]; budget <- as.numeric(args[2])
read <- function(name) { f <- paste0(name, ".bin"); readBin(f, "double", file.info(f)$size / 8) }
y <- read("y"); X <- matrix(read("X"), nrow = length(y)); p <- ncol(X)
if (case == "weibull") event <- read("event")
answer <- function(theta, se, loglik, converged) list(theta = unname(theta), se = unname(se)[seq_len(p)], nll = -as.numeric(loglik), code = as.integer(!converged))
run <- list(
  negbin = function() {
    m <- MASS::glm.nb(y ~ X - 1)
    answer(c(coef(m), 1 / m$theta), sqrt(diag(vcov(m))), logLik(m), m$converged)
  },
  weibull = function() {
    m <- survival::survreg(survival::Surv(y, event) ~ X - 1, dist = "weibull")
    answer(c(coef(m), m$scale), sqrt(diag(vcov(m))), m$loglik[2], TRUE)
  },
  zero_inflated = function() {
    m <- pscl::zeroinfl(y ~ X - 1 | 1, dist = "poisson")
    answer(c(coef(m, "count"), plogis(coef(m, "zero"))), sqrt(diag(vcov(m))), logLik(m), m$converged)
  },
  beta = function() {
    m <- betareg::betareg(y ~ X - 1)
    answer(coef(m), sqrt(diag(vcov(m))), logLik(m), m$converged)
  }
)[[case]]
began <- proc.time()[["elapsed"]]
for (k in seq_len(as.integer(args[3]))) {
  seconds <- system.time(a <- run())[["elapsed"]]
  values <- c(a$nll, a$theta, a$se, rep(NaN, length(a$theta) - p))
  cat("fit", seconds, sprintf("%.3f", as.numeric(Sys.time())), a$code, sprintf("%.17g", values), "\n")
  flush(stdout())
  if (k > 1 && proc.time()[["elapsed"]] - began > budget) break
}
status <- "/proc/self/status"
if (file.exists(status)) cat("peak_kb", gsub("[^0-9]", "", grep("VmHWM", readLines(status), value = TRUE)), "\n")
