#!/usr/bin/env bash
# Guess: a configuration that says `head_dim` frees the width from the number of heads, in LlamaConfig as in its relatives.
# What happens (transformers 5.23.0): MistralConfig, Qwen2Config and Qwen3Config take 6 heads of 16 in a width of 100; LlamaConfig alone
# refuses, whatever head_dim says. Set afterwards (`config.hidden_size = 100`) it is taken, and refused when it is saved.
# Where it matters: a LLaMA that was widened, pruned or converted computes and trains, and fails at its first checkpoint.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check transformers==5.23.0
cd "$dir"
venv/bin/python - <<'PY'
import transformers
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

sizes = dict(hidden_size=100, num_attention_heads=6, num_key_value_heads=2, head_dim=16)


def refused(work):
    try:
        work()
    except Exception as error:
        return "not a multiple" in str(error)
    return False


said = {kind.__name__: refused(lambda: kind(**sizes)) for kind in (LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config)}
late = LlamaConfig(**{**sizes, "hidden_size": 96})
late.hidden_size = 100
saving = refused(lambda: late.save_pretrained("late"))
print(f"transformers {transformers.__version__}: refused {said}; set afterwards, refused when it is saved: {saving}")
assert said == {"LlamaConfig": True, "MistralConfig": False, "Qwen2Config": False, "Qwen3Config": False}
assert saving
PY
