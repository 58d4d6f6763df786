"""Answers of base and tuned that a judge, or a person, is to compare. What the judge says of them: judge/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import write_json, write_jsonl
from alpaca_pipe.evaluate.answering import answer_all
from alpaca_pipe.evaluate.asked_rows import conversation
from alpaca_pipe.evaluate.evaluations.base import (
    Contestant,
    Evaluation,
    EvaluationInputs,
    LoadedModel,
)
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair
from alpaca_pipe.evaluate.judge.prompt_sets import JudgedPrompt
from alpaca_pipe.evaluate.judge.rating_page import rating_page


def _work(contestant: Contestant, given: EvaluationInputs) -> int:
    how, found = given.config.judge, given.to_judge
    if not (contestant.read and how and found):
        return 0
    return 0 if how.against == "file" and contestant.folder is None else found.turns


def _ask(loaded: LoadedModel, given: EvaluationInputs) -> list[list[str]]:
    """Of each prompt the answers, turn by turn; what was said before stands in the conversation."""
    how, found = given.config.judge, given.to_judge
    if how is None or found is None or not _work(loaded.contestant, given):
        return []
    prompts = found.prompts
    said: list[list[str]] = [[] for _ in prompts]
    done = 0
    for turn in range(max((len(one.turns) for one in prompts), default=0)):
        places = [at for at, one in enumerate(prompts) if turn < len(one.turns)]
        rows = [
            conversation(prompts[at].turns, said[at]) if turn else found.rows[at] for at in places
        ]

        def told(count: int, before: int = done) -> None:
            loaded.at(before + count, "answers to be judged")

        for at, answer in zip(
            places, answer_all(loaded, given, rows, how.answer_tokens, told), strict=True
        ):
            said[at].append(answer.text)
        done += len(places)
    return said


def pairs(
    said: Mapping[str, Any], prompts: Sequence[JudgedPrompt], how: Judging
) -> list[AnswerPair]:
    """Every turn of every prompt. said: by model, as `_ask` answers."""
    others = [[one.answer] for one in prompts] if how.against == "file" else said["base"]
    return [
        AnswerPair(
            one.id,
            turn + 1,
            one.category,
            one.turns[: turn + 1],
            tuple(mine[: turn + 1]),
            tuple(theirs[: turn + 1]),
        )
        for one, mine, theirs in zip(prompts, said["tuned"], others, strict=True)
        for turn in range(min(len(mine), len(theirs)))
    ]


def _conclude(said: Mapping[str, Any], given: EvaluationInputs, folder: Path) -> dict[str, Any]:
    """Writes answers.jsonl; rating.html for people; alpaca_eval_tuned.json, and _base where it answered, of the first turns as
    `alpaca_eval --model_outputs` takes them. The summary comes from what the judge says of them."""
    how, asked = given.config.judge, given.to_judge
    if how is None or asked is None:
        return {}
    prompts = asked.prompts
    found = pairs(said, prompts, how)
    write_jsonl(
        folder / "answers.jsonl",
        (
            {
                "id": pair.prompt,
                "turn": pair.turn,
                "category": pair.category,
                "prompt": pair.asked[-1],
                "other": pair.other[-1],
                "tuned": pair.tuned[-1],
            }
            for pair in found
        ),
    )
    (folder / "rating.html").write_text(rating_page(found, given.seed), encoding="utf-8")
    for name, answers in said.items():
        if name in ("base", "tuned") and answers:
            write_json(folder / f"alpaca_eval_{name}.json", _outputs(prompts, answers, name))
    return {"to_judge": asked.to_summary()}


def _outputs(
    prompts: Sequence[JudgedPrompt], answers: Sequence[Sequence[str]], name: str
) -> list[dict[str, str]]:
    return [
        {
            "dataset": one.dataset or one.category or "own",
            "instruction": one.instruction,
            "output": said[0],
            "generator": name,
        }
        for one, said in zip(prompts, answers, strict=True)
    ]


TO_JUDGE = Evaluation("to_judge", 60, _work, _ask, _conclude)
