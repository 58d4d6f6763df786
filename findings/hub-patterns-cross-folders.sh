#!/usr/bin/env bash
# Guess: allow_patterns="data/*.json" takes the JSON files that lie in data/ itself, as a shell's pattern does.
# What happens (huggingface_hub 2.4.0): `*` matches `/` too (the patterns are fnmatch's), so data/old/b.json is taken as well. The
# function below is the one behind snapshot_download and upload_folder.
# Where it matters: a push of a dataset's folder also sends what lies in folders below it, drafts and old versions for example;
# as ignore_patterns it leaves out files of every depth.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check huggingface_hub==2.4.0
cd "$dir"
mkdir -p data/old && touch data/a.json data/old/b.json
venv/bin/python - <<'PY'
import glob
import huggingface_hub
from huggingface_hub.utils import filter_repo_objects

files = ["data/a.json", "data/old/b.json"]
taken = list(filter_repo_objects(files, allow_patterns=["data/*.json"]))
print(f"huggingface_hub {huggingface_hub.__version__}: {taken}; a shell's pattern: {glob.glob('data/*.json')}")
assert taken == files and glob.glob("data/*.json") == files[:1]
PY
