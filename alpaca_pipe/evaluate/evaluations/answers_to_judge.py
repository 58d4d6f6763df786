"""Answers of base and tuned that a judge, or a person, is to compare. What the judge says of them: judge/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import write_json, write_jsonl
from alpaca_pipe.evaluate.answering import answer_all, question
from alpaca_pipe.evaluate.evaluations.base import (
    Contestant,
    Evaluation,
    EvaluationInputs,
    LoadedModel,
)
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair
from alpaca_pipe.evaluate.judge.prompt_sets import JudgedPrompt, read_prompts
from alpaca_pipe.evaluate.judge.rating_page import rating_page


def _asked(how: Judging, given: EvaluationInputs) -> tuple[list[JudgedPrompt], int]:
    """(the prompts, how many were left out): too long for one of the templates, or without the answer that they are held
    against. Of several turns those that every template can hold."""
    if how.prompts is None:
        found = [
            JudgedPrompt(row.id, (row.asked,), "", row.output, row.asked)
            for row in given.rows.examples[: how.count]
        ]
    else:
        found = read_prompts(how.prompts, how.count)
    room = given.longest - how.answer_tokens
    rows = [_row(one, given, how) for one in found]
    lengths = [[len(ids) for ids in encoder.prompts(rows)] for encoder in given.encoders.values()]
    kept = [
        one
        for at, one in enumerate(found)
        if (how.against == "base" or one.answer) and all(of[at] <= room for of in lengths)
    ]
    return kept, len(found) - len(kept)


def _row(one: JudgedPrompt, given: EvaluationInputs, how: Judging) -> Example:
    if how.prompts is None:
        return next(row for row in given.rows.examples if row.id == one.id)
    return question(one.turns[0])


def _turns(one: JudgedPrompt, given: EvaluationInputs) -> int:
    many = all(encoder.template.many_turns for encoder in given.encoders.values())
    return len(one.turns) if many else 1


def _work(contestant: Contestant, given: EvaluationInputs) -> int:
    how = given.config.judge
    if not (contestant.read and how) or (how.against == "file" and contestant.folder is None):
        return 0
    return sum(_turns(one, given) for one in _asked(how, given)[0])


def _ask(loaded: LoadedModel, given: EvaluationInputs) -> list[list[str]]:
    """Of each prompt the answers, turn by turn; what was said before stands in the conversation."""
    how = given.config.judge
    if how is None or not _work(loaded.contestant, given):
        return []
    prompts = _asked(how, given)[0]
    said: list[list[str]] = [[] for _ in prompts]
    done = 0
    for turn in range(max((_turns(one, given) for one in prompts), default=0)):
        places = [at for at, one in enumerate(prompts) if turn < _turns(one, given)]
        rows = [
            _conversation(prompts[at], said[at]) if turn else _row(prompts[at], given, how)
            for at in places
        ]

        def told(count: int, before: int = done) -> None:
            loaded.at(before + count, "answers to be judged")

        for at, answer in zip(
            places, answer_all(loaded, given, rows, how.answer_tokens, told), strict=True
        ):
            said[at].append(answer.text)
        done += len(places)
    return said


def _conversation(one: JudgedPrompt, answers: Sequence[str]) -> Example:
    told = [
        message
        for asked, answer in zip(one.turns, [*answers, "-"], strict=False)
        for message in (Message("user", asked), Message("assistant", answer or "-"))
    ]
    return Example.of_messages(told, Origin("seed", "evaluate"))


def pairs(said: Mapping[str, Any], given: EvaluationInputs, how: Judging) -> list[AnswerPair]:
    """Every turn of every prompt. said: by model, as `_ask` answers."""
    prompts = _asked(how, given)[0]
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
    how = given.config.judge
    if how is None:
        return {}
    prompts, left_out = _asked(how, given)
    found = pairs(said, given, how)
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
    turns = sum(_turns(one, given) for one in prompts)
    dropped = sum(len(one.turns) for one in prompts) - turns
    return {
        "to_judge": {
            "prompts": len(prompts),
            "left_out": left_out,
            "turns": turns,
            "turns_left_out": dropped,
        }
    }


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
