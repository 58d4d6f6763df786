"""Models loaded one after the other and measured on held-out rows; what an interrupted run has measured is not measured again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from alpaca_pipe.align.align_verdict import LEAST
from alpaca_pipe.align.config import AlignConfig
from alpaca_pipe.align.held_out_margins import (
    Margins,
    OwnAnswers,
    log_probs,
    margins,
    own_answers,
    said_of_answers,
)
from alpaca_pipe.align.policy import Beginning
from alpaca_pipe.align.preference_ids import PairIds
from alpaca_pipe.align.reward_model import load_reward_model, rewards
from alpaca_pipe.core.files import read_json, write_json
from alpaca_pipe.evaluate.bootstrap import of_mean
from alpaca_pipe.evaluate.proportions import wilson
from alpaca_pipe.models.let_go import let_go
from alpaca_pipe.models.loading import load_for_scoring
from alpaca_pipe.pairs.answer_rules import score


@dataclass(frozen=True)
class HeldOutPrompts:
    """What is asked: token ids, and the question as a person reads it. each: answers that are drawn to one."""

    ids: tuple[tuple[int, ...], ...]
    questions: tuple[str, ...]
    each: int = 1

    @property
    def of_answers(self) -> list[tuple[int, ...]]:
        """The prompt of every answer."""
        return [ids for ids in self.ids for _ in range(self.each)]

    def by_prompt(self, of_answers: Sequence[float]) -> list[list[float]]:
        """What is said of the answers, those to a prompt together."""
        starts = range(0, len(of_answers), self.each)
        return [list(of_answers[start : start + self.each]) for start in starts]


def measure_offline(
    begin: Beginning,
    folders: Mapping[str, Path],
    rows: Any,
    prompts: HeldOutPrompts,
    config: AlignConfig,
    end: int,
    seed: int,
    scratch: Path,
) -> tuple[dict[str, Margins], dict[str, Any]]:
    """(margins of each model on the held-out rows, {length, ended, kl, rules: of answers that it draws}). One model is held at
    a time."""
    kept: dict[str, Any] = {}
    for name, folder in {**folders, "before": begin.tuned}.items():
        draws = prompts if name in ("aligned", "before") and prompts.ids else None
        drawn = kept["aligned"]["own"]["answers"] if draws and name == "before" else None
        kept[name] = _once(
            scratch / f"measured-{name}.json",
            lambda folder=folder, draws=draws, drawn=drawn: _said_by(  # type: ignore[misc]
                begin, folder, rows, draws, drawn, config, end, seed
            ),
        )
    before = [tuple(one) for one in kept["before"]["said"]]
    found = {
        name: margins([tuple(one) for one in kept[name]["said"]], before, rows, config.strength)  # type: ignore[misc]
        for name in folders
    }
    return found, _own(kept, prompts) if prompts.ids else {}


def _said_by(
    begin: Beginning,
    folder: Path | None,
    rows: Any,
    prompts: HeldOutPrompts | None,
    of_aligned: Any,
    config: AlignConfig,
    end: int,
    seed: int,
) -> dict[str, Any]:
    """What one model makes of the rows; with prompts its own answers, and with the aligned model's also what it makes of those."""
    model, tokenizer = load_for_scoring(begin.checkpoint, folder, begin.dtype)
    found: dict[str, Any] = {"said": said_of_answers(model, rows)}
    if prompts is not None:
        most = config.max_completion_length
        own = own_answers(model, tokenizer, prompts.ids, prompts.each, most, end, seed)
        found["own"] = own.to_row() | _by_rules(tokenizer, prompts, own)
    if prompts is not None and of_aligned is not None:
        found["of_aligned"] = log_probs(model, prompts.of_answers, of_aligned)
    return found


def _own(kept: Mapping[str, Any], prompts: HeldOutPrompts) -> dict[str, Any]:
    aligned = OwnAnswers.from_row(kept["aligned"]["own"])
    before = OwnAnswers.from_row(kept["before"]["own"])
    return {
        "length": {"before": round(before.length, 2), "aligned": round(aligned.length, 2)},
        "ended": {"before": sum(before.ended), "aligned": sum(aligned.ended)},
        "kl": distance(aligned, kept["before"]["of_aligned"]),
        "answers": len(aligned.answers),
        "rules": _won(kept["aligned"]["own"]["rules"], kept["before"]["own"]["rules"], prompts),
    }


def _by_rules(tokenizer: Any, prompts: HeldOutPrompts, own: OwnAnswers) -> dict[str, Any]:
    """What the rules of pairs/ say of each answer: a judge that the training did not ask."""
    texts = tokenizer.batch_decode([list(ids) for ids in own.answers], skip_special_tokens=True)
    asked = [question for question in prompts.questions for _ in range(prompts.each)]
    both = zip(asked, texts, own.ended, strict=True)
    return {"rules": [score(*one) for one in both], "texts": texts}


def _won(
    aligned: Sequence[float], before: Sequence[float], prompts: HeldOutPrompts
) -> dict[str, Any]:
    """Mean scores, and how often the rules prefer an answer to one before to the same prompt, ties half, with the interval of so
    many prompts: rules see no order, so every two are compared once."""
    groups = zip(prompts.by_prompt(aligned), prompts.by_prompt(before), strict=True)
    points = [
        sum((one > was) + (one == was) / 2 for one in new for was in old) / len(new) / len(old)
        for new, old in groups
    ]
    return {
        "aligned": round(sum(aligned) / len(aligned), 6),
        "before": round(sum(before) / len(before), 6),
        "won": wilson(sum(points), len(points)).rounded(),
    }


def distance(own: OwnAnswers, before: Sequence[float]) -> dict[str, float]:
    """How far the model is from where it began: the mean of log p - log p before over answers that it drew, in nats an answer
    and a token. An estimate of the KL divergence: of few answers it may be below 0."""
    apart = [one - was for one, was in zip(own.nats, before, strict=True)]
    tokens = sum(map(len, own.answers))
    return {
        "answer": round(sum(apart) / len(apart), 6),
        "token": round(sum(apart) / max(tokens, 1), 6),
    }


def measure_reward(
    begin: Beginning, folders: Mapping[str, Path], rows: Sequence[PairIds], scratch: Path
) -> dict[str, Margins]:
    """Reward of the chosen less that of the rejected answer."""
    return {
        name: Margins(
            tuple(
                _once(
                    scratch / f"measured-{name}.json",
                    lambda folder=folder: _reward_margins(  # type: ignore[misc]
                        load_reward_model(folder, begin.checkpoint, begin.dtype), rows
                    ),
                )
            )
        )
        for name, folder in folders.items()
    }


def _reward_margins(model: Any, rows: Sequence[PairIds]) -> list[float]:
    chosen = rewards(model, [(*row.prompt, *row.chosen) for row in rows])
    rejected = rewards(model, [(*row.prompt, *row.rejected) for row in rows])
    return [one - other for one, other in zip(chosen, rejected, strict=True)]


def measure_online(
    begin: Beginning,
    folder: Path,
    judge: Path,
    rows: Sequence[PairIds] | None,
    prompts: HeldOutPrompts,
    config: AlignConfig,
    end: int,
    seed: int,
    scratch: Path,
) -> dict[str, Any]:
    """reward: {before, aligned, difference: {mean, lo, hi} over prompts} of answers drawn to held-out prompts; kl, length; reward_accuracy:
    the share of held-out prompts whose pairs the reward model gets right. Its sentence says whether the reward rose for sure."""
    kept: dict[str, Any] = {}
    for name, where in (("aligned", folder), ("before", begin.tuned)):
        kept[name] = _once(
            scratch / f"own-{name}.json",
            lambda where=where: _drawn(begin, where, prompts, config, end, seed),  # type: ignore[misc]
        )
    answers = kept["aligned"]["answers"]
    kept_of = _once(
        scratch / "of-aligned.json",
        lambda: log_probs(
            load_for_scoring(begin.checkpoint, begin.tuned, begin.dtype)[0],
            prompts.of_answers,
            answers,
        ),
    )
    model = load_reward_model(judge, begin.checkpoint, begin.dtype)
    given = {
        name: rewards(
            model,
            [(*p, *a) for p, a in zip(prompts.of_answers, kept[name]["answers"], strict=True)],
        )
        for name in kept
    }
    means = {name: list(map(fmean, prompts.by_prompt(of))) for name, of in given.items()}
    apart = [one - was for one, was in zip(means["aligned"], means["before"], strict=True)]
    found = {
        "reward": {name: round(fmean(of), 6) for name, of in means.items()}
        | {"difference": of_mean(apart).rounded()},
        "prompts": len(prompts.ids),
        **_own(
            {
                "aligned": {"own": kept["aligned"]},
                "before": {"own": kept["before"], "of_aligned": kept_of},
            },
            prompts,
        ),
    }
    if rows:
        right = Margins(tuple(_reward_margins(model, rows))).votes([row.prompt for row in rows])
        found["reward_accuracy"] = wilson(sum(right), len(right)).rounded()
    return found | {"sentence": _online_sentence(found), "verdict": _rose(found)}


def _once(note: Path, make: Callable[[], Any]) -> Any:
    if not note.exists():
        write_json(note, make())
        let_go()
    return read_json(note)


def _drawn(
    begin: Beginning,
    folder: Path | None,
    prompts: HeldOutPrompts,
    config: AlignConfig,
    end: int,
    seed: int,
) -> dict[str, Any]:
    model, tokenizer = load_for_scoring(begin.checkpoint, folder, begin.dtype)
    most = config.max_completion_length
    own = own_answers(model, tokenizer, prompts.ids, prompts.each, most, end, seed)
    return own.to_row() | _by_rules(tokenizer, prompts, own)


def _rose(found: Mapping[str, Any]) -> str:
    gap = found["reward"]["difference"]
    if found["prompts"] < LEAST:
        return "not shown"
    return "better" if gap["lo"] > 0 else "worse" if gap["hi"] < 0 else "not shown"


def _online_sentence(found: Mapping[str, Any]) -> str:
    reward, kl, length = found["reward"], found["kl"], found["length"]
    gap, won = reward["difference"], found["rules"]["won"]
    few = found["prompts"] < LEAST
    why = f" ({LEAST} prompts are the least that could show anything)" if few else ""
    return (
        f"align: {_rose(found)}{why}: reward of {found['answers']} answers to {found['prompts']} held-out prompts {reward['before']:.3f} -> "
        f"{reward['aligned']:.3f}, {gap['mean']:+.3f} [{gap['lo']:+.3f}, {gap['hi']:+.3f}]; "
        f"{kl['answer']:.2f} nats an answer from where it began; "
        f"{length['before']:.0f} -> {length['aligned']:.0f} tokens long; "
        f"rules prefer {won['mean']:.0%} [{won['lo']:.0%}, {won['hi']:.0%}] of them"
    )
