"""Writes ../dpo_losses.json: losses, their gradients and logged figures by TRL's DPOTrainer that src/train/dpo*.ts must agree with.

The trainer's own `_compute_loss` is called, on log-probabilities drawn at random in place of a model's. TRL 1 has label smoothing
only in losses that equal DPO's for a batch of one pair ("aot" sorts the pairs of a batch: one alone stays where it is), so the
smoothed ones are computed a pair at a time.

python test/reference/make/dpo_losses.py   (torch, trl)
"""
import json
import pathlib
from collections import defaultdict
from types import SimpleNamespace

import torch
import trl
from trl import DPOTrainer

torch.manual_seed(22)
LENGTHS = [(3, 2), (2, 5), (6, 6), (4, 1), (1, 3), (5, 4)]
PROMPT = 2
WIDTH = PROMPT + max(map(max, LENGTHS))

# Log-probabilities of the answers' tokens; the reference's differ from the policy's by a little a token.
draw = lambda length, scale: [round(float(x), 6) for x in torch.randn(length) * scale]
pairs = []
for chosen, rejected in LENGTHS:
    policy = dict(chosen=[-abs(x) for x in draw(chosen, 2)], rejected=[-abs(x) for x in draw(rejected, 2)])
    reference = {name: round(sum(values) + draw(1, 1.5)[0], 6) for name, values in policy.items()}
    pairs.append(dict(policy=policy, reference=reference))


def trl_loss(selected, loss_type, beta, label_smoothing):
    """Loss, its gradient by each token's log-probability, and what the trainer logs."""
    answers = [pair["policy"][name] for name in ("chosen", "rejected") for pair in selected]
    mask = torch.tensor([[0] * PROMPT + [1] * len(a) + [0] * (WIDTH - PROMPT - len(a)) for a in answers])
    values = torch.zeros(len(answers), WIDTH - 1, dtype=torch.float64)
    for row, answer in zip(values, answers):
        row[PROMPT - 1 : PROMPT - 1 + len(answer)] = torch.tensor(answer, dtype=torch.float64)
    values.requires_grad_(True)
    zeros = torch.zeros_like(values).detach()
    outputs = SimpleNamespace(log_probs=values, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())
    metrics = defaultdict(list)
    accelerator = SimpleNamespace(device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x)
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True), accelerator=accelerator, aux_loss_enabled=False, ld_alpha=None, precompute_ref_logps=True,
        f_divergence_type="reverse_kl", loss_types=[loss_type], loss_weights=[1.0], beta=beta, label_smoothing=label_smoothing,
        use_weighting=False, _metrics=dict(train=metrics), _total_train_tokens=0, _tp_size=1,
    )
    inputs = dict(input_ids=torch.ones_like(mask), attention_mask=torch.ones_like(mask), completion_mask=mask)
    for name in ("chosen", "rejected"):
        inputs[f"ref_{name}_logps"] = torch.tensor([pair["reference"][name] for pair in selected], dtype=torch.float64)
    loss = DPOTrainer._compute_loss(trainer, lambda **_: outputs, inputs, False)
    loss.backward()
    gradients = [row[PROMPT - 1 : PROMPT - 1 + len(answer)].tolist() for row, answer in zip(values.grad, answers)]
    half = len(selected)
    return float(loss), dict(chosen=gradients[:half], rejected=gradients[half:]), {name: value[0] for name, value in metrics.items()}


cases = []
for kind, beta in [("sigmoid", 0.3), ("sigmoid", 0.05), ("sigmoid", 2.0), ("ipo", 0.3), ("ipo", 1.0)]:
    loss, gradients, metrics = trl_loss(pairs, kind, beta, 0.0)
    logged = {name: metrics[name] for name in metrics if name.startswith(("rewards/", "logps/"))}
    cases.append(dict(kind=kind, beta=beta, labelSmoothing=0, weights=[1] * len(pairs), loss=loss, gradients=gradients, logged=logged))


def one_by_one(kind, beta, label_smoothing, weights):
    """Weighted mean of the pairs' own losses: the loss divided by the mean weight."""
    singles = [trl_loss([pair], kind, beta, label_smoothing) for pair in pairs]
    share = [weight / sum(weights) for weight in weights]
    scaled = lambda name: [[s * g for g in grads[name][0]] for s, (_, grads, _) in zip(share, singles)]
    return dict(
        beta=beta, labelSmoothing=label_smoothing, weights=weights, loss=sum(s * loss for s, (loss, _, _) in zip(share, singles)),
        gradients=dict(chosen=scaled("chosen"), rejected=scaled("rejected")),
    )


same, weighted = [1] * len(pairs), [1.4, 1, 1, 1.4, 0.5, 1]
for beta, smoothing, weights in [(0.3, 0.05, same), (0.3, 0.1, same), (0.5, 0.1, weighted), (0.3, 0.0, weighted)]:
    cases.append(dict(kind="sigmoid", **one_by_one("aot", beta, smoothing, weights)))
cases.append(dict(kind="ipo", **one_by_one("ipo", 0.3, 0.0, weighted)))

out = pathlib.Path(__file__).resolve().parent.parent / "dpo_losses.json"
out.write_text(json.dumps(dict(made_by="make/dpo_losses.py", trl=trl.__version__, torch=torch.__version__, pairs=pairs, cases=cases)) + "\n")
