#!/usr/bin/env bash
# Guess: a chat template rendered by jinja2 itself, with `trim_blocks` and `lstrip_blocks` set, gives the text that
# `apply_chat_template` gives.
# What happens (transformers 5.23.0, jinja2 3.1.6): not where it says `tojson`, as templates do for tools. jinja2's filter sorts
# the keys and writes < > & ' as \u003c and so on, for HTML; transformers has a filter of its own that does neither.
# Where it matters: servers and scripts that render templates themselves. The model sees tools spelled otherwise than it learned.
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
tokenizer.chat_template = "{% for tool in tools %}\n  {{ tool | tojson }}\n{% endfor %}\n"
tool = {"name": "compare", "about": "x < y & z"}
theirs = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tools=[tool], tokenize=False)
plain = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
ours = plain.from_string(tokenizer.chat_template).render(tools=[tool])
print(f"transformers {transformers.__version__}: {theirs.strip()}")
print(f"jinja2 {jinja2.__version__}:       {ours.strip()}")
assert json.loads(theirs) == json.loads(ours) == tool and theirs != ours
assert list(json.loads(theirs)) == ["name", "about"] and list(json.loads(ours)) == ["about", "name"]
assert "<" in theirs and "\\u003c" in ours
PY
