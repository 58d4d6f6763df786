"""Asks a list of questions with bespokelabs-curator, in a venv of its own. One argument: a JSON object (tests/bench/peers/run.py)."""

import json
import os
import sys
from pathlib import Path

asked = json.loads(sys.argv[1])
os.environ.update(
    CURATOR_CACHE_DIR=asked["folder"],
    TELEMETRY_ENABLED="false",
    CURATOR_DISABLE_RICH_DISPLAY="1",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    OPENAI_API_KEY="k",
    HF_HUB_OFFLINE="1",
)

import tiktoken


class Letters:
    """In place of cl100k_base, which tiktoken fetches from the network at its first use: four letters a token."""

    name = "letters"

    def encode(self, text, **_):
        return list(range(len(text) // 4))


if not os.environ.get("TIKTOKEN_CACHE_DIR"):
    tiktoken.get_encoding = lambda name: Letters()

from bespokelabs import curator


class Asker(curator.LLM):
    def prompt(self, row):
        return row["question"]

    def parse(self, row, response):
        return {"question": row["question"], "answer": response}


asker = Asker(
    model_name="gpt-4o-mini",
    backend="openai",
    generation_params={"max_tokens": 200},
    backend_params={
        "base_url": asked["url"],
        "api_key": "k",
        "max_concurrent_requests": asked["concurrency"],
        "max_retries": 3,
        "max_requests_per_minute": 10_000_000,
        "max_tokens_per_minute": 10_000_000_000,
        "require_all_responses": False,
        "request_timeout": 30,
    },
)
made = asker(
    [{"question": question} for question in json.loads(Path(asked["questions"]).read_text())]
)
rows = made.dataset if hasattr(made, "dataset") else made
print(json.dumps({"rows": sum(row["answer"] is not None for row in rows)}))
