// Beta regression: mean logistic(x.beta), precision phi.
#include <TMB.hpp>
template <class Type> Type objective_function<Type>::operator()() {
  DATA_MATRIX(X);
  DATA_VECTOR(y);
  PARAMETER_VECTOR(beta);
  PARAMETER(log_phi);
  parallel_accumulator<Type> nll(this);
  vector<Type> eta = X * beta;
  Type phi = exp(log_phi), constant = lgamma(phi);
  for (int i = 0; i < y.size(); i++) {
    Type mu = invlogit(eta(i)), a = mu * phi, b = phi - a;
    nll -= constant - lgamma(a) - lgamma(b) + (a - 1) * log(y(i)) + (b - 1) * log(1 - y(i));
  }
  return nll;
}
