// Weibull regression of right-censored times.
#include <TMB.hpp>
template <class Type> Type objective_function<Type>::operator()() {
  DATA_MATRIX(X);
  DATA_VECTOR(y);
  DATA_VECTOR(event);
  PARAMETER_VECTOR(beta);
  PARAMETER(log_scale);
  parallel_accumulator<Type> nll(this);
  vector<Type> eta = X * beta;
  Type scale = exp(log_scale);
  for (int i = 0; i < y.size(); i++) {
    Type log_time = log(y(i)), w = (log_time - eta(i)) / scale;
    nll -= event(i) * (w - log_scale - log_time) - exp(w);
  }
  return nll;
}
