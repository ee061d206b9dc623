// Linear regression with Student-t errors, degrees of freedom estimated.
#include <TMB.hpp>
template <class Type> Type objective_function<Type>::operator()() {
  DATA_MATRIX(X);
  DATA_VECTOR(y);
  PARAMETER_VECTOR(beta);
  PARAMETER(log_scale);
  PARAMETER(log_df);
  parallel_accumulator<Type> nll(this);
  vector<Type> eta = X * beta;
  Type scale = exp(log_scale), df = exp(log_df);
  Type constant = lgamma((df + 1) / 2) - lgamma(df / 2) - 0.5 * log(df * Type(M_PI)) - log_scale;
  for (int i = 0; i < y.size(); i++) {
    Type z = (y(i) - eta(i)) / scale;
    nll -= constant - (df + 1) / 2 * log(1 + z * z / df);
  }
  return nll;
}
