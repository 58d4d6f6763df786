"""One row of ours in the forms that other tools read: OpenAI's messages, ShareGPT's turns, ChatML as text, Alpaca's keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message

_CURE = "write it --as messages, which holds every row"


def messages_row(example: Example) -> dict[str, Any]:
    """OpenAI's row. An answer that is not learned has `weight` 0; tool calls keep their ids."""
    system = [{"role": "system", "content": example.system}] if example.system else []
    row: dict[str, Any] = {"messages": [*system, *openai_messages(example.conversation())]}
    if tools := example.origin.details.get("tools"):
        row["tools"] = tools
    return row


def openai_messages(said: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages with OpenAI's keys, and `weight` and `reasoning_content` where they say something."""
    rows: list[dict[str, Any]] = []
    called: list[str] = []
    for one in said:
        row: dict[str, Any] = {"role": one.role, "content": one.text}
        if one.role == "assistant" and not one.learned:
            row["weight"] = 0
        if one.reasoning:
            row["reasoning_content"] = one.reasoning
        if one.tool_calls:
            row["tool_calls"] = [dict(call) for call in one.tool_calls]
            called = [str(call["id"]) for call in one.tool_calls if "id" in call]
        if one.role == "tool" and called:
            row["tool_call_id"] = called.pop(0)
        if one.name:
            row["name"] = one.name
        rows.append(row)
    return rows


def sharegpt_row(example: Example) -> dict[str, Any]:
    """ShareGPT's turns; an answer that is not learned has `weight` 0; a tool's call and its result are turns of their own."""
    system = [{"from": "system", "value": example.system}] if example.system else []
    turns = [turn for one in example.conversation() for turn in _sharegpt(one)]
    return {"id": example.id, "conversations": [*system, *turns]}


def _sharegpt(one: Message) -> Iterator[dict[str, Any]]:
    names = {"user": "human", "assistant": "gpt", "tool": "observation"}
    weight = {} if one.learned else {"weight": 0}
    thought = {"reasoning_content": one.reasoning} if one.reasoning else {}
    if one.text or not one.tool_calls:
        yield {"from": names.get(one.role, one.role), "value": one.text, **weight, **thought}
    for call in one.tool_calls:
        inside = call.get("function", call)
        said = (
            f'{{"name": "{inside.get("name", "")}", "arguments": {inside.get("arguments", "{}")}}}'
        )
        yield {"from": "function_call", "value": said, **weight}


def chatml_row(example: Example) -> dict[str, str]:
    """The whole row as ChatML in one text. Raises UserError for what a text without a mask cannot say."""
    if any(
        one.role == "assistant" and not one.learned or one.tool_calls for one in example.messages
    ):
        raise UserError(
            f"chatml: {example.id} has an answer that is not learned, or a tool call, and a text cannot say so",
            _CURE,
        )
    system = [Message("system", example.system)] if example.system else []
    said = (*system, *example.conversation())
    text = "".join(f"<|im_start|>{one.role}\n{one.text}<|im_end|>\n" for one in said)
    return {"text": text}


def stanford_row(example: Example) -> dict[str, Any]:
    """Stanford's three keys; of a conversation also `history`, the exchanges before the last one. Raises UserError for one
    that they cannot say."""
    if not example.messages:
        return {
            "instruction": example.instruction,
            "input": example.input,
            "output": example.output,
        }
    said = example.messages
    roles = [one.role for one in said]
    plain = all(one.learned and not one.tool_calls for one in said if one.role == "assistant")
    if roles != ["user", "assistant"] * (len(roles) // 2) or not plain:
        raise UserError(
            f"alpaca: {example.id} is a conversation that instruction, output and history cannot hold",
            _CURE,
        )
    pairs = [[said[at].text, said[at + 1].text] for at in range(0, len(said) - 2, 2)]
    row: dict[str, Any] = {"instruction": said[-2].text, "input": "", "output": said[-1].text}
    return row | ({"history": pairs} if pairs else {})


def alpaca_row(example: Example) -> dict[str, Any]:
    """As `stanford_row`, with the system text where there is one."""
    return stanford_row(example) | ({"system": example.system} if example.system else {})


def openorca_row(example: Example) -> dict[str, str]:
    """OpenOrca's four columns; an input stands below its question, a blank line between. Raises UserError for a conversation."""
    if example.messages:
        raise UserError(
            f"openorca: {example.id} is a conversation, and question and response hold one exchange",
            _CURE,
        )
    asked, answer = example.conversation()
    return {
        "id": example.id,
        "system_prompt": example.system,
        "question": asked.text,
        "response": answer.text,
    }
