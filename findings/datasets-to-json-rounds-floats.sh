#!/usr/bin/env bash
# Guess: `Dataset.to_json` writes floats so that they are read back as they were, as json.dumps does.
# What happens (datasets 5.2.0): they are rounded to 10 decimal places, for the writing is done by pandas with its default
# `double_precision=10`. 3e-12 becomes 0.0. `to_csv` and `to_parquet` keep them.
# Where it matters: probabilities of tokens for distillation, and scores: small ones become exactly 0, whose logarithm is minus
# infinity.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0
cd "$dir"
venv/bin/python - <<'PY'
import json
import datasets

kept = [1 / 3, 3e-12]
rows = datasets.Dataset.from_dict({"p": kept})
rows.to_json("rows.jsonl")
rows.to_parquet("rows.parquet")
read = [json.loads(line)["p"] for line in open("rows.jsonl")]
print(f"datasets {datasets.__version__}: {kept} was written as {read}")
assert read == [0.3333333333, 0.0], "floats are no longer rounded to 10 places"
import pyarrow.parquet

assert pyarrow.parquet.read_table("rows.parquet")["p"].to_pylist() == kept
PY
