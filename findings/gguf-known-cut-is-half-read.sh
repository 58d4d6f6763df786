#!/usr/bin/env bash
# Guess: where transformers knows a GGUF's `tokenizer.ggml.pre` ("llama-bpe": its split is in the table), the file's texts get
# the ids that llama.cpp gives them.
# What happens (transformers 5.23.0, xllamacpp 2026.10.11549): only the split is taken over. The name means two more things: a piece
# that is itself a token is that token, however the merges would spell it (`ignore_merges` in LLaMA 3's own tokenizer.json),
# and BOS stands first unless the file says otherwise. Transformers does neither, and says nothing.
# Where it matters: whoever tunes or scores a model read from such a file sees other ids than llama.cpp, which serves it.
# Exit code 0 while this is so.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/env"
"$home/env/bin/pip" install -q "transformers==5.23.0" "torch==2.13.0" "gguf==0.19.0" "xllamacpp==2026.10.11549" "accelerate==1.15.0"
cat > "$home/look.py" <<'PY'
import json, sys, urllib.request

import gguf, numpy, transformers, xllamacpp
from transformers import AutoTokenizer

letters = [chr(code) for code in range(33, 127)] + ["\u0120"]
tokens = ["<unk>", "<s>", "</s>", *letters, "ab", "abc", "abcd"]  # abcd: in the vocabulary, and no merge leads to it
merges = ["a b", "ab c"]
path = sys.argv[1]
writer = gguf.GGUFWriter(path, "llama")
for add, value in {
    "context_length": 64, "embedding_length": 32, "block_count": 1, "feed_forward_length": 32, "head_count": 2,
    "head_count_kv": 2, "layer_norm_rms_eps": 1e-5, "rope_dimension_count": 16, "vocab_size": len(tokens),
    "tokenizer_model": "gpt2", "tokenizer_pre": "llama-bpe", "token_list": tokens,
    "token_types": [3] * 3 + [1] * (len(tokens) - 3), "token_merges": merges, "bos_token_id": 1, "eos_token_id": 2,
}.items():
    getattr(writer, f"add_{add}")(value)
square = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
shapes = {f"blk.0.{name}.weight": (32, 32) for name in square}
shapes |= {name: (32,) for name in ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight")}
shapes |= {"token_embd.weight": (len(tokens), 32), "output.weight": (len(tokens), 32)}
for name, shape in shapes.items():
    writer.add_tensor(name, numpy.ones(shape, dtype=numpy.float32))
writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file(), writer.close()

folder, _, name = path.rpartition("/")
theirs = AutoTokenizer.from_pretrained(folder, gguf_file=name)("abcd")["input_ids"]
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.warmup = path, 64, 1, False
params.hostnames, params.port, params.ui = ["127.0.0.1"], 0, False
server = xllamacpp.Server(params)
body = json.dumps({"content": "abcd", "add_special": True}).encode()
ask = urllib.request.Request(f"{server.listening_address}/tokenize", body, {"Content-Type": "application/json"})
llama = json.load(urllib.request.urlopen(ask))["tokens"]
say = lambda ids: [tokens[number] for number in ids]
print(f"transformers {transformers.__version__}: {say(theirs)}; llama.cpp: {say(llama)}")
sys.exit(0 if (say(theirs), say(llama)) == (["abc", "d"], ["<s>", "abcd"]) else 1)
PY
"$home/env/bin/python" "$home/look.py" "$home/tiny.gguf" 2> /dev/null | grep '^transformers'
exit "${PIPESTATUS[0]}"
