"""The tokenizer that we made of a GGUF, held against llama.cpp's own where xllamacpp is installed.

llama.cpp runs in a child process: it writes to our terminal, and what kills it must not kill us.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Where cuts of different vocabularies part: digits, blanks, line feeds, contractions, capitals, marks, other scripts.
SAMPLES = (
    "Here:\n\n1. Eat\n2. Sleep 8 hours\n\n\n10. Repeat",
    "On 2024-01-31 it was 3.14159 or 1,234,567.89; 007 and 42nd.",
    "don't DON'T I'LL we'Ve 's'S it's 5's",
    "a  b   c\t\td \n e\r\n\r\nf   \n\n g  ",
    "def f(x):\n    if x >= 10:\n        return x**2  # HTTPServer2go\n",
    "(a)[b]{c}<d>$5+3=8^2~|`\\ //x/y/\n/z !!! ...\n?!\n",
    "über Straße naïve café Éa ÀB",
    "日本語テキスト、です。１２３ 中文 한국어 ١٢٣",
    "😀😀 👨‍👩‍👧 \u00a0x\u3000y",
    " leading",
    "\n",
    "word",
    "e\u0301a hom\u0301bre",
    "हिन्दी में १२३ शब्द",
)
_WITHIN = 600.0  # seconds; a large file on a slow disk


def compare(file: Path, tokenizer: PreTrainedTokenizerBase, alike: bool = True) -> str | None:
    """A sentence on what was compared, None where llama.cpp is not installed. Raises UserError where ids differ.

    alike: as word_cuts.Cut has it.
    """
    if find_spec("xllamacpp") is None:
        return None
    samples = [text for text in SAMPLES if alike or text.isascii()]
    theirs = asked(file, samples)
    if theirs is None:
        return f"llama.cpp cannot load {file.name}, so the tokenizer was not compared with its own"
    ours = [tokenizer(text)["input_ids"] for text in samples]
    other = [text for text, one, two in zip(samples, ours, theirs, strict=True) if one != two]
    if other:
        raise UserError(
            f"the tokenizer made of {file.name} gives other ids than llama.cpp for {len(other)} of "
            f"{len(samples)} texts, {other[0][:30]!r} among them",
            "name the checkpoint that it was quantised from (base.model: org/name)",
        )
    return f"its tokenizer gives llama.cpp's ids on {len(samples)} texts of every kind"


def asked(file: Path, texts: Sequence[str], special: bool = True) -> list[list[int]] | None:
    """llama.cpp's ids of each text, None where it cannot load the file. special: with what the vocabulary puts around."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps({"file": str(file), "texts": list(texts), "special": special}),
            capture_output=True,
            text=True,
            timeout=_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"ids":')]
    ids: list[list[int]] | None = json.loads(lines[-1])["ids"] if lines else None
    return ids


def _child(given: dict[str, Any]) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = given["file"]
    params.n_ctx, params.n_parallel, params.warmup = 64, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames, params.port, params.ui = ["127.0.0.1"], 0, False
    server = xllamacpp.Server(params)
    found = []
    for text in given["texts"]:
        body = {"content": text, "add_special": given["special"], "parse_special": True}
        request = urllib.request.Request(
            f"{server.listening_address}/tokenize",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            found.append(json.load(answer)["tokens"])
    print("\n" + json.dumps({"ids": found}), flush=True)


if __name__ == "__main__":
    _child(json.load(sys.stdin))
