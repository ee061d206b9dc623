# Rscript fit.R CASE THREADS EXTRAS compile | fit SECONDS REPEATS
# The folder holds CASE.cpp, and as raw float64: X.bin (columns first), y.bin, start.bin and, for weibull, event.bin.
# EXTRAS are the template's names of the parameters after beta. `fit` prints one line per fit, as soon as it is known.
args <- commandArgs(TRUE)
case <- args[1]; threads <- as.integer(args[2]); extras <- strsplit(args[3], ",")[[1]]
suppressPackageStartupMessages(library(TMB))
if (args[4] == "compile") {
  seconds <- system.time(TMB::compile(paste0(case, ".cpp"), openmp = TRUE))[["elapsed"]]
  cat("compile", seconds, "\n")
  quit("no")
}
read <- function(name) { f <- paste0(name, ".bin"); readBin(f, "double", file.info(f)$size / 8) }
y <- read("y")
data <- list(X = matrix(read("X"), nrow = length(y)), y = y)
if (case == "weibull") data$event <- read("event")
start <- read("start"); p <- ncol(data$X)
parameters <- c(list(beta = start[seq_len(p)]), as.list(setNames(start[-seq_len(p)], extras)))
began <- proc.time()[["elapsed"]]
budget <- as.numeric(args[5])
for (k in seq_len(as.integer(args[6]))) {
  seconds <- system.time({
    if (k == 1) { dyn.load(dynlib(case)); openmp(threads, DLL = case) }
    obj <- MakeADFun(data, parameters, DLL = case, silent = TRUE)
    fit <- nlminb(obj$par, obj$fn, obj$gr, control = list(eval.max = 2000, iter.max = 1000))
    se <- sqrt(diag(sdreport(obj)$cov.fixed))
  })[["elapsed"]]
  cat("fit", seconds, sprintf("%.3f", as.numeric(Sys.time())), fit$convergence, sprintf("%.17g", c(fit$objective, fit$par, se)), "\n")
  flush(stdout())
  if (k > 1 && proc.time()[["elapsed"]] - began > budget) break
}
status <- "/proc/self/status"
if (file.exists(status)) cat("peak_kb", gsub("[^0-9]", "", grep("VmHWM", readLines(status), value = TRUE)), "\n")
