"""Mixtures of Gaussians with diagonal covariances, as scikit-learn fits them.

    python tools/prototypes/golden.py > tests/prototypes/scikit_learn.toml

Clusters overlap a little, so that the parts of components in a row are neither 0 nor 1. Fits are run until steps change nothing
in single precision, of ten starts the best is taken.
"""

import json

import numpy as np
from sklearn.mixture import GaussianMixture


def case(name, seed, weights, means, deviations, count):
    random = np.random.default_rng(seed)
    of = random.choice(len(weights), size=count, p=weights)
    rows = (np.array(means)[of] + np.array(deviations)[of] * random.standard_normal((count, len(means[0])))).astype(np.float32)
    mixture = GaussianMixture(
        len(weights), covariance_type="diag", reg_covar=0, tol=1e-12, max_iter=10_000, n_init=10, random_state=0
    ).fit(rows.astype(np.float64))
    order = np.argsort(-mixture.weights_)
    return {
        "name": name,
        "rows": [[float(value) for value in row] for row in rows],
        "weights": mixture.weights_[order].tolist(),
        "means": mixture.means_[order].tolist(),
        "variances": mixture.covariances_[order].tolist(),
        "log_likelihoods": mixture.score_samples(rows.astype(np.float64)).tolist(),
        "criterion": float(mixture.bic(rows.astype(np.float64))),
    }


CASES = [
    case("one", 1, [1.0], [[0.1, -0.2, 0.3]], [[0.1, 0.02, 0.5]], 40),
    case("two", 2, [0.7, 0.3], [[0.0, 0.0], [0.3, 0.1]], [[0.1, 0.1], [0.05, 0.2]], 80),
    case(
        "three",
        3,
        [0.5, 0.3, 0.2],
        [[0.1, 0.5, 0.0, 0.2], [0.4, 0.1, 0.1, 0.2], [0.1, 0.1, 0.5, -0.1]],
        [[0.05, 0.1, 0.02, 0.1], [0.1, 0.05, 0.05, 0.02], [0.05, 0.05, 0.1, 0.1]],
        120,
    ),
]

print("# Written by tools/prototypes/golden.py.")
for values in CASES:
    # Lists and texts are written alike in JSON and TOML.
    print("\n[[case]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items()))
