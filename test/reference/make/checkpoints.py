"""Makes test/reference/checkpoints: small random checkpoints of each architecture, with the numbers transformers and PEFT compute.

Run by hand:  python test/reference/make/checkpoints.py
Made with torch 2.15.0, transformers 5.23.0, PEFT 0.21.2 in float32 on a CPU. Seeded: a second run gives the same weights.
"""

import json
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig, Qwen2Config, Qwen3Config

ROOT = Path(__file__).resolve().parents[1] / "checkpoints"
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
COMMON = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=128, dtype="float32")

CONFIGS = {
    # Grouped-query attention, untied head; the three bands of Llama 3's rope scaling all occur in this head.
    "llama": LlamaConfig(
        vocab_size=200, hidden_size=64, intermediate_size=56, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=32),
        **COMMON,
    ),
    "llama-tied": LlamaConfig(
        vocab_size=256, hidden_size=48, intermediate_size=80, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=1,
        rms_norm_eps=1e-6, tie_word_embeddings=True, rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=4.0), **COMMON,
    ),
    "qwen2": Qwen2Config(
        vocab_size=256, hidden_size=48, intermediate_size=80, num_hidden_layers=4, num_attention_heads=6, num_key_value_heads=2,
        rms_norm_eps=1e-6, tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=10000.0), **COMMON,
    ),
    "qwen3": Qwen3Config(
        vocab_size=230, hidden_size=48, intermediate_size=72, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        head_dim=24, rms_norm_eps=1e-6, tie_word_embeddings=False, rope_parameters=dict(rope_type="default", rope_theta=10000.0), **COMMON,
    ),
    # Five local layers and a global one, as published; a window shorter than the test sequences; a scale that is not 1/sqrt(head_dim).
    "gemma3": Gemma3TextConfig(
        vocab_size=256, hidden_size=48, intermediate_size=40, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=2,
        head_dim=12, rms_norm_eps=1e-6, sliding_window=8, query_pre_attn_scalar=20, tie_word_embeddings=True,
        rope_parameters=dict(full_attention=dict(rope_type="linear", rope_theta=5000.0, factor=2.0),
                             sliding_attention=dict(rope_type="default", rope_theta=100.0)),
        **COMMON,
    ),
}
ADAPTERS = {
    "llama": dict(r=4, lora_alpha=8),
    "llama-tied": dict(r=4, lora_alpha=8, layers_to_transform=[0, 2, 3]),
    "qwen2": dict(r=4, lora_alpha=8, rank_pattern={"down_proj": 2}, alpha_pattern={"down_proj": 6}),
    "qwen3": dict(r=4, lora_alpha=8, use_rslora=True),
    "gemma3": dict(r=3, lora_alpha=6),
}


def randomise(model, generator):
    """Every weight matters: matrices of deviation 0.1 to 0.3, norms around their neutral value, biases not zero."""
    neutral = 0.0 if model.config.model_type.startswith("gemma3") else 1.0
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if "norm" in name:
                weight.copy_(neutral + 0.3 * noise)
            elif "embed" in name or "lm_head" in name:
                # Gemma multiplies its embedding by sqrt(hidden_size): a larger one would drown the layers.
                weight.copy_((0.3 if neutral else 0.12) * noise)
            else:
                weight.copy_((0.3 if weight.dim() == 1 else 0.15) * noise)


def numbers(tensor):
    return [float(f"{x:.8g}") for x in tensor.flatten().tolist()]


def score(model, ids):
    logits = model(torch.tensor([ids])).logits[0]
    log_probs = logits.log_softmax(-1)
    return {
        "ids": ids,
        "lastLogits": numbers(logits[-1]),
        "logSumExp": numbers(logits.logsumexp(-1)),
        "logProbs": [float(f"{log_probs[i, token].item():.8g}") for i, token in enumerate(ids[1:])],
    }


def greedy(model, prompt, count):
    ids, margins = list(prompt), []
    for _ in range(count):
        best = model(torch.tensor([ids])).logits[0, -1].topk(2)
        ids.append(best.indices[0].item())
        margins.append(float(f"{(best.values[0] - best.values[1]).item():.6g}"))
    return {"prompt": prompt, "ids": ids[len(prompt):], "margins": margins}


def batch_loss(model, batch):
    """Mean negative log-likelihood over the completion tokens of all sequences."""
    nll = []
    for ids, start in zip(batch["ids"], batch["completionStarts"]):
        log_probs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        nll += [-log_probs[i - 1, ids[i]] for i in range(start, len(ids))]
    return torch.stack(nll).mean()


def build(index, name, config):
    folder = ROOT / name
    generator = torch.Generator().manual_seed(1000 + index)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    randomise(model, generator)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)

    def draw(length):
        return torch.randint(3, config.vocab_size, (length,), generator=generator).tolist()

    sequences = [draw(1), draw(7), draw(40)]
    batch = {"ids": [draw(24), draw(13)], "completionStarts": [15, 6]}
    with torch.no_grad():
        expected = {
            "origin": f"torch {torch.__version__}, transformers {transformers.__version__}, PEFT {peft.__version__}, float32, eager attention",
            "sequences": [score(model, ids) for ids in sequences],
            "greedy": greedy(model, sequences[1], 20),
        }
        exact = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa").eval()
        logits = model(torch.tensor([sequences[2]])).logits
        expected["noise"] = (exact(torch.tensor([sequences[2]])).logits - logits).abs().max().item()
        expected["largestLogit"] = logits.abs().max().item()

    lora = LoraConfig(target_modules=PROJECTIONS, lora_dropout=0.0, task_type="CAUSAL_LM", **ADAPTERS[name])
    adapted = get_peft_model(model, lora).eval()
    with torch.no_grad():
        for parameter_name, weight in adapted.named_parameters():
            if "lora_" in parameter_name:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    adapted.peft_config["default"].base_model_name_or_path = name
    adapted.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink()
    with torch.no_grad():
        expected["adapter"] = {"sequences": [score(adapted, ids) for ids in sequences], "greedy": greedy(adapted, sequences[1], 20)}
    loss = batch_loss(adapted, batch)
    loss.backward()
    expected["adapter"]["batch"] = {**batch, "loss": float(f"{loss.item():.8g}")}
    gradients = {n.replace(".default", ""): p.grad.contiguous() for n, p in adapted.named_parameters() if "lora_" in n}
    save_file(gradients, folder / "adapter" / "gradients.safetensors")
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    sizes = {f.name: f.stat().st_size for f in folder.rglob("*") if f.is_file()}
    print(name, sizes, "noise", expected["noise"], "largest", expected["largestLogit"], "least margin", min(expected["greedy"]["margins"]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for index, (name, config) in enumerate(CONFIGS.items()):
        build(index, name, config)
