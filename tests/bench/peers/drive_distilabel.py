"""Asks a list of questions with distilabel, in a venv of its own. One argument: a JSON object (tests/bench/peers/run.py)."""

import json
import os
import sys
from pathlib import Path

asked = json.loads(sys.argv[1])
os.environ.update(HF_HUB_OFFLINE="1", HF_HOME=asked["folder"], DISTILABEL_LOG_LEVEL="ERROR")

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration


def main():
    with Pipeline("questions", cache_dir=asked["folder"]) as pipeline:
        load = LoadDataFromDicts(
            data=[
                {"instruction": question}
                for question in json.loads(Path(asked["questions"]).read_text())
            ],
            batch_size=asked["concurrency"],
        )
        # It sends a batch at a time, all at once: its batch is its concurrency.
        answer = TextGeneration(
            input_batch_size=asked["concurrency"],
            llm=OpenAILLM(
                model="gpt-4o-mini",
                base_url=asked["url"],
                api_key="k",
                timeout=30,
                max_retries=3,
                generation_kwargs={"max_new_tokens": 200},
            ),
        )
        load >> answer
    made = pipeline.run(use_cache=True)
    print(
        json.dumps(
            {"rows": sum(text is not None for text in made["default"]["train"]["generation"])}
        )
    )


if __name__ == "__main__":
    main()
