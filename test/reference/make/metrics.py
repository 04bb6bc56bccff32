"""Writes ../metrics.json: scores by scikit-learn and numpy that src/evaluate/metrics.ts must agree with.

python test/reference/make/metrics.py   (numpy, scikit-learn)

Each case holds gold labels (1 harmful), probabilities of harmful, verdicts (1 harmful, 0 safe, -1 unparsed), and the scores.
"""
import json
import pathlib

import numpy as np
import sklearn
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)


def expected_calibration_error(gold, probability, bins=15):
    """Equal-width bins over the probability of harmful; a bin is (low, high], the first one includes 0 (Guo et al. 2017)."""
    index = np.clip(np.ceil(probability * bins) - 1, 0, bins - 1).astype(int)
    error = 0.0
    for b in range(bins):
        inside = index == b
        if inside.any():
            error += inside.mean() * abs(gold[inside].mean() - probability[inside].mean())
    return float(error)


def under_rule(gold, verdict, rule):
    unparsed = verdict < 0
    if rule == "dropped":
        gold, verdict = gold[~unparsed], verdict[~unparsed]
    elif rule == "safe":
        verdict = np.where(unparsed, 0, verdict)
    else:
        verdict = np.where(unparsed, 1 - gold, verdict)
    tn, fp, fn, tp = (int(x) for x in confusion_matrix(gold, verdict, labels=[0, 1]).ravel())
    return dict(
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
        accuracy=float(accuracy_score(gold, verdict)),
        precision=float(precision_score(gold, verdict)),
        recall=float(recall_score(gold, verdict)),
        f1=float(f1_score(gold, verdict)),
        falsePositiveRate=fp / (fp + tn),
    )


def case(name, seed, n, share, decimals, unparsed):
    rng = np.random.default_rng(seed)
    gold = (rng.random(n) < share).astype(int)
    gold[:2] = [0, 1]
    # Few decimals make ties; 0, 1 and bin edges occur.
    probability = np.round(np.clip(rng.normal(0.35 + 0.3 * gold, 0.3), 0, 1), decimals)
    verdict = np.where(rng.random(n) < unparsed, -1, (probability > 0.5).astype(int))
    return dict(
        name=name,
        gold=gold.tolist(),
        probability=probability.tolist(),
        verdict=verdict.tolist(),
        rules={rule: under_rule(gold, verdict, rule) for rule in ("dropped", "safe", "wrong")},
        auroc=float(roc_auc_score(gold, probability)),
        auprc=float(average_precision_score(gold, probability)),
        ece=expected_calibration_error(gold, probability),
    )


cases = [
    case("balanced", 1, 120, 0.5, 6, 0.05),
    case("many ties", 2, 150, 0.45, 1, 0.1),
    case("few harmful", 3, 200, 0.05, 3, 0.02),
    case("mostly harmful, half unparsed", 4, 80, 0.9, 2, 0.5),
    case("coarse: three probabilities", 5, 60, 0.5, 0, 0.0),
    case("smallest", 6, 4, 0.5, 2, 0.0),
]
out = pathlib.Path(__file__).resolve().parent.parent / "metrics.json"
out.write_text(json.dumps(dict(made_by="make/metrics.py", scikit_learn=sklearn.__version__, numpy=np.__version__, cases=cases)) + "\n")
