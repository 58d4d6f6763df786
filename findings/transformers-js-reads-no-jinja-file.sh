#!/usr/bin/env bash
# Guess: a tokenizer that transformers 5 saves with its chat template is one for Transformers.js 4 too: both are of one house, and the
# JavaScript package has the name of the file, chat_template.jinja, in its source.
# What happens (transformers 5.23.0, @huggingface/transformers 4.3.2): transformers writes the template to chat_template.jinja alone.
# AutoTokenizer in JavaScript reads tokenizer.json and tokenizer_config.json; its chat_template is empty, and apply_chat_template throws.
# (That file is looked for by processors of several kinds of input.) With the template in tokenizer_config.json the ids are Python's.
# Where it matters: whoever exports a tuned model for JavaScript with the tokenizer's folder as transformers 5 saved it.
set -euo pipefail
command -v node npm > /dev/null
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
"$dir/venv/bin/pip" install -q --disable-pip-version-check transformers==5.23.0 jinja2==3.1.6
cat > save.py <<'PY'
import json
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

words = {word: place for place, word in enumerate(["<unk>", "</s>", "user", ":", "hello", "assistant"])}
raw = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
raw.pre_tokenizer = pre_tokenizers.Whitespace()
made = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", eos_token="</s>")
made.chat_template = "{% for m in messages %}{{ m.role }} : {{ m.content }} {% endfor %}assistant :"
made.save_pretrained("saved")
ids = made.apply_chat_template([{"role": "user", "content": "hello"}], return_dict=True)["input_ids"]
config = json.load(open("saved/tokenizer_config.json"))
json.dump({"ids": list(ids), "template": made.chat_template, "in_config": "chat_template" in config}, open("python.json", "w"))
PY
venv/bin/python save.py
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/transformers@4.3.2
cat > load.mjs <<'JS'
import { readFileSync, writeFileSync, existsSync } from "node:fs";
import { AutoTokenizer, env } from "@huggingface/transformers";
env.allowRemoteModels = false;
env.localModelPath = process.cwd();
const python = JSON.parse(readFileSync("python.json")), asked = [{ role: "user", content: "hello" }];
const ids = async () => Array.from((await AutoTokenizer.from_pretrained("saved")).apply_chat_template(asked, { return_tensor: false, return_dict: false }), Number);
let before = "";
try { before = String(await ids()); } catch (error) { before = error.message.split("!")[0]; }
const config = JSON.parse(readFileSync("saved/tokenizer_config.json"));
writeFileSync("saved/tokenizer_config.json", JSON.stringify({ ...config, chat_template: python.template }));
const after = await ids();
console.log(`@huggingface/transformers ${env.version}; chat_template.jinja written: ${existsSync("saved/chat_template.jinja")}, in tokenizer_config.json too: ${python.in_config}`);
console.log(`as saved: ${before}`);
console.log(`with the template in tokenizer_config.json: ${after}, Python: ${python.ids}`);
if (!existsSync("saved/chat_template.jinja") || python.in_config || !before.includes("chat_template is not set") || String(after) !== String(python.ids)) process.exit(1);
JS
node load.mjs
