#!/usr/bin/env bash
# Guess: `Dataset.map(clean.fix)` computes anew when the code of `fix` in clean.py is edited; the fingerprint is said to
# cover the function.
# What happens (datasets 5.2.0): only a function of the script itself is hashed by its code. One that is imported from a
# module is hashed by its name, so after an edit the old result is taken from the cache, without a word.
# Where it matters: cleaning functions that live in a module, as they should. An edit changes nothing in a dataset that was
# loaded from disk, until the cache is deleted or `load_from_cache_file=False` is said.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0
cd "$dir"
venv/bin/python - <<'PY'
import pathlib, subprocess, sys
import datasets

datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk("rows")
again = "import clean, datasets; print(datasets.load_from_disk(\"rows\").map(clean.fix)[\"text\"][0])"


def run(code: str) -> str:
    pathlib.Path("clean.py").write_text(f"def fix(row):\n    return {{\"text\": {code}}}\n")
    done = subprocess.run([sys.executable, "-B", "-c", again], capture_output=True, text=True, check=True)
    return done.stdout.strip()


first, edited = run("row[\"text\"] + \" first\""), run("row[\"text\"] + \" edited\"")
print(f"datasets {datasets.__version__}: with the first code {first!r}, after the edit {edited!r}")
assert (first, edited) == ("a first", "a first"), "the edit is seen now"
PY
