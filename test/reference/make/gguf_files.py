"""Makes test/reference/gguf: random blocks of every tensor type with what ggml's Python package makes of them, and small GGUF files of
four architectures with what transformers reads from them.

Run by hand:  python test/reference/make/gguf_files.py
Made with gguf 0.19.0, transformers 5.23.0.
"""

import hashlib
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers import LlamaConfig

REFERENCE = Path(__file__).resolve().parents[1]
OUT = REFERENCE / "gguf"
TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
ARCHITECTURES = {"llama-tied": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3": "gemma3"}
LAYER_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
NORMS = {"post_attention_layernorm": "ffn_norm"}
GEMMA_NORMS = {
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}


def blocks():
    """Any bytes are a valid block, so random ones also reach infinities, NaN and negative zero; half of them have ordinary scales."""
    rng = np.random.default_rng(7)
    tensors = {}
    for name in TYPES:
        block_size, block_bytes = gguf.GGML_QUANT_SIZES[Type[name]]
        count = 2048 // block_size
        data = rng.integers(0, 256, (count, block_bytes), dtype=np.uint8)
        tensors[f"{name}.blocks"] = data.reshape(-1)
        with np.errstate(all="ignore"):
            tensors[f"{name}.values"] = np.ascontiguousarray(gguf.quants.dequantize(data, Type[name]), dtype=np.float32).reshape(-1)
        if block_size > 1:
            plain = rng.normal(0, 0.1, (4, 512)).astype(np.float32)
            try:
                data = gguf.quants.quantize(plain, Type[name])
            except NotImplementedError:
                continue
            tensors[f"{name}.quantised.blocks"] = data.reshape(-1)
            tensors[f"{name}.quantised.values"] = gguf.quants.dequantize(data, Type[name]).reshape(-1)
    save_file(tensors, OUT / "blocks.safetensors")


def permute(weights, heads):
    """llama.cpp's conversion: it rotates neighbouring pairs where transformers rotates halves."""
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def write_model(checkpoint, architecture):
    config = json.loads((REFERENCE / "checkpoints" / checkpoint / "config.json").read_text())
    path = OUT / f"{checkpoint}.gguf"
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if "head_dim" in config and architecture in ("qwen3", "gemma3"):
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    rope = config["rope_parameters"]
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if architecture == "gemma3":
        writer.add_sliding_window(config["sliding_window"])
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token {i}" for i in range(config["vocab_size"])])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    for name, values in load_file(REFERENCE / "checkpoints" / checkpoint / "model.safetensors").items():
        *parts, suffix = name.split(".")
        if parts[:2] == ["model", "layers"]:
            module = ".".join(parts[3:])
            names = LAYER_NAMES | (GEMMA_NORMS if architecture == "gemma3" else NORMS)
            own = f"blk.{parts[2]}.{names[module]}.{suffix}"
        else:
            own = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}[".".join(parts)] + f".{suffix}"
        if architecture == "gemma3" and name.endswith("norm.weight"):
            values = values + 1
        if architecture == "llama" and "q_proj" in name:
            values = permute(values, config["num_attention_heads"])
        if architecture == "llama" and "k_proj" in name:
            values = permute(values, config["num_key_value_heads"])
        writer.add_tensor(own, values if values.ndim == 1 else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    # transformers does not read Qwen 3's key_length and takes 128.
    sizes = {"head_dim": config["head_dim"]} if architecture == "qwen3" else {}
    model = AutoModelForCausalLM.from_pretrained(OUT, gguf_file=path.name, dtype=torch.float32, **sizes)
    state = {n: p.detach().numpy() for n, p in model.named_parameters()}
    return {n: {"shape": list(v.shape), "sha256": hashlib.sha256(np.ascontiguousarray(v).tobytes()).hexdigest()} for n, v in state.items()}


def frequencies():
    """Rope frequencies of published shapes, as transformers computes them."""
    cases = [
        dict(head_dim=64, max_position_embeddings=8192, rope_parameters=dict(rope_type="default", rope_theta=100000.0)),
        dict(head_dim=128, max_position_embeddings=32768, rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
        dict(head_dim=64, max_position_embeddings=131072, rope_parameters=dict(
            rope_type="llama3", rope_theta=500000.0, factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)),
        dict(head_dim=128, max_position_embeddings=131072, rope_parameters=dict(
            rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)),
        dict(head_dim=256, max_position_embeddings=32768, rope_parameters=dict(rope_type="linear", rope_theta=1000000.0, factor=8.0)),
    ]
    for case in cases:
        config = LlamaConfig(hidden_size=case["head_dim"] * 2, num_attention_heads=2, **case)
        if case["rope_parameters"]["rope_type"] == "default":
            from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
            values = LlamaRotaryEmbedding(config).inv_freq
        else:
            values, _ = ROPE_INIT_FUNCTIONS[case["rope_parameters"]["rope_type"]](config, "cpu")
        case["frequencies"] = values.tolist()
    return cases


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    blocks()
    models = {c: write_model(c, a) for c, a in ARCHITECTURES.items()}
    (OUT / "expected.json").write_text(json.dumps({"origin": "transformers 5.23.0 reading the GGUF files here", "models": models}, indent=1) + "\n")
    (OUT / "rope.json").write_text(json.dumps({"origin": "transformers 5.23.0", "cases": frequencies()}) + "\n")
