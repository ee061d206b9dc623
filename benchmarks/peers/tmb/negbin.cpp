// NB2 regression: mean exp(x.beta), variance mu + alpha mu^2.
#include <TMB.hpp>
template <class Type> Type objective_function<Type>::operator()() {
  DATA_MATRIX(X);
  DATA_VECTOR(y);
  PARAMETER_VECTOR(beta);
  PARAMETER(log_alpha);
  parallel_accumulator<Type> nll(this);
  vector<Type> eta = X * beta;
  for (int i = 0; i < y.size(); i++) nll -= dnbinom_robust(y(i), eta(i), 2 * eta(i) + log_alpha, true);
  return nll;
}
