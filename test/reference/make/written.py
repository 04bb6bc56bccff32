"""Loads what written.ts wrote with PEFT and transformers, and records in test/reference/written.json how far the logits are from
expected.json, with the hashes of the files. Tests write the same files again and compare hashes: the record then holds for them too.

Run by hand:  npx tsx test/reference/make/written.ts OUT && python test/reference/make/written.py OUT
"""

import hashlib
import json
import sys
from pathlib import Path

import peft
import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForCausalLM

REFERENCE = Path(__file__).resolve().parents[1]
OUT = Path(sys.argv[1])


def hashes(folder):
    return {f"{folder.name}/{f.name}": hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.iterdir())}


def largest_difference(model, expected):
    with torch.no_grad():
        return max(
            (model(torch.tensor([s["ids"]])).logits[0, -1].float() - torch.tensor(s["lastLogits"])).abs().max().item()
            for s in expected["adapter"]["sequences"]
        )


def load(folder, dtype="float32"):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


torch.set_num_threads(1)
record = {"origin": f"torch {torch.__version__}, transformers {transformers.__version__}, PEFT {peft.__version__}", "models": {}}
for folder in sorted(OUT.iterdir()):
    checkpoint = REFERENCE / "checkpoints" / folder.name
    expected = json.loads((checkpoint / "expected.json").read_text())
    record["models"][folder.name] = {
        "adapterDifference": largest_difference(PeftModel.from_pretrained(load(checkpoint), folder / "adapter").eval(), expected),
        "mergedDifference": largest_difference(load(folder / "merged"), expected),
        "mergedBfloat16Difference": largest_difference(load(folder / "merged-bfloat16"), expected),
        "sha256": {**hashes(folder / "adapter"), **hashes(folder / "merged"), **hashes(folder / "merged-bfloat16")},
    }
(REFERENCE / "written.json").write_text(json.dumps(record, indent=1) + "\n")
print(json.dumps({k: {a: b for a, b in v.items() if a != "sha256"} for k, v in record["models"].items()}, indent=1))
