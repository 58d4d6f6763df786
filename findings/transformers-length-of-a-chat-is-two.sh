#!/usr/bin/env bash
# Guess: `len(tokenizer.apply_chat_template(messages))` is the number of tokens, as it was for years.
# What happens (transformers 5.23.0): the default is now `return_dict=True`, so it is the number of keys: 2, input_ids and
# attention_mask, however long the conversation is.
# Where it matters: filters by length (`len(...) <= max_length`) let everything pass, without an error.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3 jinja2==3.1.6
cd "$dir"
venv/bin/python - <<'PY'
import json
import jinja2
import tokenizers, transformers
from tokenizers import Tokenizer, models, pre_tokenizers

words = ["<unk>", "user", "hi", "there", "how", "are", "you"]
small = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="<unk>"))
small.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=small, unk_token="<unk>")
tokenizer.chat_template = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}"
chat = [{"role": "user", "content": "hi there how are you"}]
plain, listed = tokenizer.apply_chat_template(chat), tokenizer.apply_chat_template(chat, return_dict=False)
print(f"transformers {transformers.__version__}: len is {len(plain)} ({type(plain).__name__}), tokens {len(listed)}")
assert len(plain) == 2 and len(listed) == 6
PY
