"""The work of [pairs]: prompts answered, answers compared, and pairs of a better and a worse one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from alpaca_pipe.core import own_loop
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.preferences import preference_of, read_preferences
from alpaca_pipe.data.shapes.columns import Columns
from alpaca_pipe.evaluate.judge.judge_words import A_LIKING, fault, its_choices
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair, Opinion, judge_all
from alpaca_pipe.evaluate.judge.win_rates import steadiness
from alpaca_pipe.pairs.answer_rules import score
from alpaca_pipe.pairs.bought_answers import ask_all
from alpaca_pipe.pairs.choosing import Chosen, choose, distinct
from alpaca_pipe.pairs.config import ROWS, TRAINED, PairJudging, PairsConfig
from alpaca_pipe.pairs.drawing import draw_here
from alpaca_pipe.pairs.prompts import PromptAnswer, rows_to_ask
from alpaca_pipe.pairs.scoring_answers import Scores, by_opinions, by_rule, to_compare
from alpaca_pipe.recipe.stage import Outcome, StageContext
from alpaca_pipe.teachers.factory import connect
from alpaca_pipe.weights.base import base_or_grown, resolve


def pairs(config: PairsConfig, context: StageContext) -> Outcome:
    """Writes pairs.jsonl (preference rows; margin, scores and judge in their origin), ties.jsonl, answers.jsonl (every answer
    with its score), judgements.jsonl where a judge was asked, left_out.jsonl.

    Summary: answers_by, judge, rows, answers, distinct, pairs, ties, lost (reason -> prompts), left_out, margin (mean; None of
    kept rows), unread_replies, longer (share of pairs whose better answer is the longer one). rows = pairs + ties + lost.
    """
    left_out: list[Rejected] = []
    if config.answers == "kept":
        outcome = _kept(config, context, left_out)
    else:
        outcome = _compared(config, context, left_out)
    write_jsonl(context.folder / "left_out.jsonl", (row.to_row() for row in left_out))
    if left_out:
        first = left_out[0]
        context.progress.say(
            f"{len(left_out)} rows are left out: {first.reason} ({first.source}): left_out.jsonl"
        )
    summary = outcome | {"left_out": len(left_out)}
    if not summary["pairs"]:
        raise UserError(
            f"pairs: none of {summary['rows']} prompts gave a pair ({_why(summary)})",
            _cure(config),
        )
    context.progress.say(f"{summary['pairs']} pairs of {summary['rows']} prompts ({_why(summary)})")
    return Outcome(summary)


def _cure(config: PairsConfig) -> str:
    """What would give pairs, by where the answers come from and who compares them."""
    if config.answers == "kept":
        return "take rows with a rejected answer or a label, or let answers be compared (pairs.answers: tuned or teacher)"
    more = "draw" if config.answers == "tuned" else "buy"
    other = "another judge" if config.judge else "another rule" if config.rule else "a judge"
    return f"{more} more answers a prompt (pairs.num_generations, temperature), or take {other}"


def _why(summary: dict[str, Any]) -> str:
    parts = [f"{summary['ties']} ties"] + [
        f"{count} where {reason}" for reason, count in summary["lost"].items()
    ]
    return "; ".join(parts)


def _kept(config: PairsConfig, context: StageContext, left_out: list[Rejected]) -> dict[str, Any]:
    lost: Counter[str] = Counter()
    if config.source:
        found = list(
            islice(
                read_preferences(
                    config.source,
                    keep_going=config.keep_going,
                    columns=Columns.of(config.columns) if config.columns else None,
                    split=config.split,
                    aside=left_out.append,
                ),
                config.count,
            )
        )
        rows = len(found)
    else:
        if ROWS not in context.inputs:
            raise UserError(
                "pairs: there are no rows that could have kept an answer",
                "add `curate:` to the recipe, or name a file with pairs.from",
            )
        examples = [
            Example.from_row(row) for row in islice(read_jsonl(context.inputs[ROWS]), config.count)
        ]
        found = [row for row in map(preference_of, examples) if row]
        rows = len(examples)
        if rows > len(found):
            lost["the row kept no worse answer"] = rows - len(found)
    return _written(config, context, Chosen(found, [], lost), rows, 2 * len(found), None)


def _compared(
    config: PairsConfig, context: StageContext, left_out: list[Rejected]
) -> dict[str, Any]:
    rows = rows_to_ask(config, context.inputs, left_out.append)
    all_answers = _answers(config, context, rows)
    context.stop_here()
    answers = [distinct(own) for own in all_answers]
    scores, said = _scores(config, context, rows, answers)
    write_jsonl(
        context.folder / "answers.jsonl",
        (
            {"id": row.id, "text": one.text, "ended": one.ended, "score": given}
            for row, own, its in zip(rows, answers, scores, strict=True)
            for one, given in zip(own, its, strict=True)
        ),
    )
    chosen = choose(rows, answers, scores, config)
    drawn = sum(map(len, all_answers))
    unread = sum(one.value is None for one in said) if config.judge else None
    summary = _written(config, context, chosen, len(rows), drawn, unread)
    if said and (wrong := fault(steady := steadiness(said))):
        context.progress.say(f"the judge {its_choices(steady)}: {wrong}")
        if not chosen.pairs and wrong != A_LIKING:
            raise UserError(
                f"pairs: none of {len(rows)} prompts gave a pair ({_why(summary)}), for of the judge is true: {wrong}",
                "set another pairs.judge, or pairs.rule; more answers would be tied as these are",
            )
    return summary | {"distinct": sum(map(len, answers))}


def _answers(
    config: PairsConfig, context: StageContext, rows: Sequence[Example]
) -> list[list[PromptAnswer]]:
    if config.teacher is not None:
        context.progress.start(len(rows) * config.num_generations, "answers")
        return own_loop.run(_asked(config, context, rows))
    if "base" not in context.tables:
        raise UserError(
            "pairs: no model is named that answers", "add `base:`, or set pairs.teacher"
        )
    base = base_or_grown(context.tables["base"], context.inputs)
    context.progress.start(len(rows), "prompts")
    return draw_here(
        rows,
        config,
        resolve(base, context.progress.say),
        context.inputs.get(TRAINED),
        context.seed,
        context.scratch / "drawn.jsonl",
        context.stopping,
        context.progress.at,
    )


async def _asked(
    config: PairsConfig, context: StageContext, rows: Sequence[Example]
) -> list[list[PromptAnswer]]:
    assert config.teacher is not None
    async with connect(config.teacher, **context.asking("pairs", "teacher.log")) as teacher:
        return await ask_all(rows, config, teacher, context.progress.at)


def _scores(
    config: PairsConfig,
    context: StageContext,
    rows: Sequence[Example],
    answers: Sequence[Sequence[PromptAnswer]],
) -> tuple[list[Scores], list[Opinion]]:
    """(of each answer, what a judge said)."""
    if config.judge is None:
        rule = config.rule.load if config.rule else score
        return by_rule(rows, answers, rule, config.judged_by), []
    to_judge = to_compare(rows, answers)
    context.progress.start(2 * len(to_judge), "judgements")
    said = own_loop.run(_judged(config.judge, context, to_judge)) if to_judge else []
    write_jsonl(context.folder / "judgements.jsonl", map(_judgement, said))
    return by_opinions(answers, to_judge, said), said


def _judgement(one: Opinion) -> dict[str, Any]:
    """pair: which two of the prompt's answers; stood: where the earlier of them stood before the judge."""
    return {
        "id": one.pair.prompt,
        "pair": one.pair.turn,
        "stood": one.place if one.place == "first" else "second",
        "said": one.value,
        "reason": one.words,
        "source": one.source,
    }


async def _judged(
    judge: PairJudging, context: StageContext, to_judge: Sequence[AnswerPair]
) -> list[Opinion]:
    how = judge.judging()
    try:
        async with connect(how.check(), **context.asking("pairs", "judge.log")) as teacher:
            return await judge_all(to_judge, teacher, how, context.progress.at)
    except UserError as error:
        if "evaluate.judge" not in error.what:
            raise
        words = (one.replace("evaluate.judge", "pairs.judge") for one in (error.what, error.cure))
        raise UserError(*words) from None


def _written(
    config: PairsConfig,
    context: StageContext,
    chosen: Chosen,
    rows: int,
    answers: int,
    unread: int | None,
) -> dict[str, Any]:
    write_jsonl(context.folder / "pairs.jsonl", (row.to_row() for row in chosen.pairs))
    write_jsonl(context.folder / "ties.jsonl", chosen.ties)
    margins = [
        row.origin.details["margin"] for row in chosen.pairs if "margin" in row.origin.details
    ]
    compared = [row for row in chosen.pairs if row.chosen]
    longer = sum(_length(row, "chosen") > _length(row, "rejected") for row in compared)
    return {
        "answers_by": config.answers,
        "judge": "" if config.answers == "kept" else config.judged_by,
        "rows": rows,
        "answers": answers,
        "pairs": len(chosen.pairs),
        "ties": len(chosen.ties),
        "lost": dict(chosen.lost),
        "margin": round(sum(margins) / len(margins), 6) if margins else None,
        "longer": round(longer / len(compared), 6) if compared else None,
        "unread_replies": unread,
    }


def _length(row: Preference, side: str) -> int:
    return sum(len(one.text) for one in getattr(row, side))
