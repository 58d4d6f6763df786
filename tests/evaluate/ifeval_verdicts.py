"""Run by a Python that has lm-eval: reads [[id, arguments, answer], ...] from stdin, writes true, false or null for each, where
null says that the answer needs data of NLTK which is not there. Knows nothing of our package."""

from __future__ import annotations

import json
import os
import sys

os.environ["RANK"] = "1"  # its import downloads NLTK's data only as process 0

from langdetect import DetectorFactory  # type: ignore[import-not-found]
from lm_eval.tasks.ifeval import instructions_registry  # type: ignore[import-not-found]

DetectorFactory.seed = 0


def verdict(id: str, arguments: dict[str, object], answer: str) -> bool | None:
    instruction = instructions_registry.INSTRUCTION_DICT[id](id)
    instruction.build_description(**arguments)
    try:
        return bool(answer.strip() and instruction.check_following(answer))
    except LookupError:
        return None


sys.stdout.write("\n" + json.dumps([verdict(*one) for one in json.load(sys.stdin)]))
