#!/usr/bin/env bash
# Guess: `tokenizer(text, truncation=True, max_length=3)` concerns that call; a tokenizer that is saved later is as it was loaded.
# What happens (transformers 5.23.0, tokenizers 0.23.3): the call sets the truncation of the backend, and `save_pretrained` writes it
# into tokenizer.json. transformers itself resets it at each call and shows nothing of it; `Tokenizer.from_file`, and with it
# every other reader of the file, cuts each text to 3 tokens.
# Where it matters: a checkpoint that was saved after some call with truncation, served by something other than transformers.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
cd "$dir"
venv/bin/python - <<'PY'
import json
import tokenizers, transformers
from tokenizers import Tokenizer, models, pre_tokenizers

words = ["<unk>", "user", "hi", "there", "how", "are", "you"]
small = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="<unk>"))
small.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=small, unk_token="<unk>")
text = "hi there how are you"
tokenizer(text, truncation=True, max_length=3)
tokenizer.save_pretrained("saved")
stored = json.load(open("saved/tokenizer.json"))["truncation"]
others = Tokenizer.from_file("saved/tokenizer.json").encode(text).tokens
own = transformers.AutoTokenizer.from_pretrained("saved")(text).input_ids
print(f"tokenizers {tokenizers.__version__}, transformers {transformers.__version__}: saved max_length {stored['max_length']}")
print(f"  by tokenizers {others}, by transformers {len(own)} tokens")
assert stored["max_length"] == 3 and len(others) == 3 and len(own) == 5
PY
