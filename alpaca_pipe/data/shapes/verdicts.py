"""What a row or a turn says of itself: a good answer or a bad one, to be learned or not, kept or discarded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.data.shapes.base import About, NotARow, NotWanted
from alpaca_pipe.data.shapes.columns import option
from alpaca_pipe.data.shapes.keys import WEAK, name_of, plain
from alpaca_pipe.data.shapes.layout import Column, Layout

BAD_ANSWER, NOT_LEARNED = "bad_answer", "do_not_learn"
_YES = frozenset(
    [
        "true",
        "yes",
        "y",
        "good",
        "desirable",
        "positive",
        "pos",
        "chosen",
        "accepted",
        "accept",
        "correct",
        "right",
        "valid",
        "ok",
        "passed",
        "helpful",
        "like",
        "thumbs_up",
        "up",
        "upvote",
        "upvoted",
        "approved",
        "preferred",
        "是",
        "好",
        "正确",
        "はい",
    ]
)
_NO = frozenset(
    [
        "false",
        "no",
        "n",
        "bad",
        "undesirable",
        "negative",
        "neg",
        "rejected",
        "reject",
        "incorrect",
        "wrong",
        "invalid",
        "fail",
        "failed",
        "unhelpful",
        "dislike",
        "thumbs_down",
        "down",
        "downvote",
        "downvoted",
        "unapproved",
        "dispreferred",
        "否",
        "坏",
        "错误",
        "いいえ",
    ]
)
_KEPT = frozenset(
    [
        "submitted",
        "completed",
        "complete",
        "approved",
        "accepted",
        "accept",
        "validated",
        "valid",
        "ready",
        "ready_for_export",
        "done",
        "ok",
        "okay",
        "active",
        "published",
        "reviewed",
        "default",
        "success",
        "succeeded",
        "final",
        "keep",
        "kept",
        "finished",
        "good",
        "verified",
        "confirmed",
        "stop",
        "200",
        "annotated",
        "unchanged",
        "swapped",
        "updated",
        "edited",
        "corrected",
        "labeled",
        "labelled",
        "gold",
        "1",
        "true",
    ]
)
_DROPPED = frozenset(
    [
        "discarded",
        "discard",
        "rejected",
        "reject",
        "deleted",
        "delete",
        "spam",
        "invalid",
        "failed",
        "failure",
        "fail",
        "error",
        "removed",
        "blocked",
        "flagged",
        "trash",
        "low_quality",
        "aborted",
        "aborted_low_grade",
        "halted_by_moderator",
        "backlog_ranking",
        "bad",
        "skipped",
        "skip",
        "ignored",
        "ignore",
        "draft",
        "pending",
        "todo",
        "in_progress",
        "incomplete",
        "unreviewed",
        "needs_review",
        "review_rejected",
        "dropped",
        "cancelled",
        "canceled",
        "expired",
        "open",
        "new",
        "initial_prompt_review",
        "growing",
        "ranking",
        "scoring_failed",
        "tie",
    ]
)
# What people think of an answer, where it is said in words; and the part of a set that a row belongs to.
_OPINIONS = frozenset(
    [
        "rating",
        "quality",
        "vote",
        "grade",
        "reaction",
        "assessment",
        "response_quality",
        "answer_quality",
    ]
)
# Why a server stopped: an answer that was cut off or taken away is none to learn.
_STOP_KEYS = frozenset(("finish_reason", "stop_reason", "done_reason", "finish_details"))
_CUT = frozenset(
    [
        "length",
        "max_tokens",
        "max_output_tokens",
        "model_length",
        "model_context_window_exceeded",
        "content_filter",
        "content_filtered",
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "guardrail_intervened",
        "error",
    ]
)
SPLIT_KEYS = frozenset(("split", "data_split", "partition", "subset_split"))
_HELD_OUT = frozenset(
    ["test", "validation", "valid", "val", "dev", "eval", "evaluation", "heldout", "held_out"]
)
# Where such a key is true, the row or turn is left out; where another one is, it is learned.
_INVERTED = frozenset(
    [
        "masked",
        "mask",
        "ignore",
        "skip",
        "exclude",
        "excluded",
        "no_train",
        "no_loss",
        "is_impossible",
        "unanswerable",
        "is_unanswerable",
        "is_bad",
        "is_spam",
        "is_toxic",
        "is_harmful",
        "is_incorrect",
        "is_wrong",
        "is_hallucination",
        "is_hallucinated",
        "is_truncated",
        "truncated",
        "discarded",
        "discard",
        "is_deleted",
        "deleted",
        "removed",
        "is_removed",
        "flagged",
        "is_hidden",
        "hidden",
    ]
)


def verdict_columns(layout: Layout) -> list[Column]:
    """The columns that speak of the row, and can be understood: a `label` in words of its own is none."""
    said = [
        one
        for one in layout.all("label", "weight", "status")
        if one.kind in ("bool", "number", "text")
    ]
    texts = [one for one in layout.columns if one.kind == "text"]
    opinions = [one for one in texts if one.plain in _OPINIONS]
    splits = [one for one in texts if one.plain in SPLIT_KEYS | _STOP_KEYS]
    return said + [one._replace(meaning="label", rank=WEAK) for one in opinions] + splits


def check_wanted(
    row: Mapping[str, Any], columns: list[Column], about: About, by_split: bool = False
) -> bool | None:
    """Whether the row's answer is labelled as good (True, False; None: nothing is said). Raises NotWanted where it is to be
    left out, NotARow where what is said cannot be understood. by_split: its split was looked at already."""
    label: bool | None = None
    for column in columns:
        value = row[column.key]
        if column.plain in _STOP_KEYS:
            check_whole(row, about)
            about.passed[column.key] += 1
            continue
        if column.plain in SPLIT_KEYS:
            if not by_split:
                _check_split(column.key, value)
            about.passed[column.key] += 1
            continue
        said = _understood(column, value)
        if said is None and column.rank >= WEAK:
            about.passed[column.key] += 1  # a name that is used for other things too
            continue
        if said is None:
            raise NotARow(
                f"'{column.key}' says {value!r}, and nobody knows whether the row is to be learned",
                f"write true or false there, or leave it out with {option(('unread', column.key))}",
            )
        if column.meaning == "label":
            label = said if label is None else label and said
        elif not said:
            raise NotWanted(NOT_LEARNED, f"'{column.key}' is {value!r}: it is not to be learned")
        if column.meaning == "weight" and _is_partial(value):
            about.say(f"a '{column.key}' other than 0 and 1 is learned as 1")
    return label


def check_whole(said: Mapping[str, Any], about: About) -> None:
    """Raises NotWanted where what a server said of its answer is that it was cut off, or taken away by a filter."""
    for key in said:
        if is_cut(key, said[key]):
            way = f"; {option(('unread', key))} reads it all the same"
            raise NotWanted(NOT_LEARNED, f"'{key}' is {said[key]!r}: the answer is not whole{way}")


def is_cut(key: str, value: Any) -> bool:
    """Whether a finish reason names a limit or a filter, in any server's spelling."""
    return isinstance(value, str) and plain(key) in _STOP_KEYS and plain(value) in _CUT


def _check_split(key: str, value: Any) -> None:
    if plain(str(value)) in _HELD_OUT:
        way = f"{option(('unread', key))} reads it all the same"
        raise NotWanted(NOT_LEARNED, f"'{key}' is {value!r} ({way})")


def is_learned(turn: Mapping[str, Any], about: About) -> bool:
    """Whether a turn may be learned, by its weight, train, loss, masked, label ..."""
    return all(_flags(turn, about))


def _flags(turn: Mapping[str, Any], about: About) -> Iterator[bool]:
    for key, value in turn.items():
        name = name_of(key)
        if is_cut(key, value):
            about.say("an answer that was cut off is not learned")
            yield False
        if name.plain in _OPINIONS and isinstance(value, str):
            yield _truth(value) is not False
        if value is None or name.meaning not in ("weight", "label", "status"):
            continue
        said = _status(value) if name.meaning == "status" else _truth(value)
        if said is None:
            about.say(f"'{key}' of a turn is left unread")
            continue
        if name.meaning == "weight" and _is_partial(value):
            about.say(f"a '{key}' other than 0 and 1 is learned as 1")
        yield said is not (name.plain in _INVERTED)


def _understood(column: Column, value: Any) -> bool | None:
    inverted = column.plain in _INVERTED
    if column.meaning == "status" and not inverted:
        return _status(value)
    said = _truth(value)
    return None if said is None else said is not inverted


def _status(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    word = plain(str(value))
    return True if word in _KEPT else False if word in _DROPPED else None


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value > 0 if value in (-1, 0, 1) or 0 < value < 1 else None
    try:
        return _truth(float(value))
    except (TypeError, ValueError):
        word = plain(str(value))
    return True if word in _YES else False if word in _NO else None


def _is_partial(value: Any) -> bool:
    return isinstance(value, float) and not isinstance(value, bool) and value not in (0.0, 1.0)
