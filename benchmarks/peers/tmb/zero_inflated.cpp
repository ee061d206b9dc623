// Zero-inflated Poisson regression with one probability of a structural zero.
#include <TMB.hpp>
template <class Type> Type objective_function<Type>::operator()() {
  DATA_MATRIX(X);
  DATA_VECTOR(y);
  PARAMETER_VECTOR(beta);
  PARAMETER(logit_pi);
  parallel_accumulator<Type> nll(this);
  vector<Type> eta = X * beta;
  Type log_none = -logspace_add(Type(0), logit_pi);
  for (int i = 0; i < y.size(); i++) {
    Type mu = exp(eta(i));
    if (y(i) == 0) nll -= log_none + logspace_add(logit_pi, -mu);
    else nll -= log_none - mu + y(i) * eta(i) - lgamma(y(i) + 1);
  }
  return nll;
}
