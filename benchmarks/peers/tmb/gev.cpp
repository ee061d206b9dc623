// Generalised extreme values with a linear location.
#include <TMB.hpp>
template <class Type> Type objective_function<Type>::operator()() {
  DATA_MATRIX(X);
  DATA_VECTOR(y);
  PARAMETER_VECTOR(beta);
  PARAMETER(log_sigma);
  PARAMETER(xi);
  parallel_accumulator<Type> nll(this);
  vector<Type> eta = X * beta;
  Type sigma = exp(log_sigma);
  for (int i = 0; i < y.size(); i++) {
    Type log_t = log(1 + xi * (y(i) - eta(i)) / sigma);
    nll -= -log_sigma - (1 + 1 / xi) * log_t - exp(-log_t / xi);
  }
  return nll;
}
