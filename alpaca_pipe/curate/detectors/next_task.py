"""Replies that went on after the answer: the next task under whatever header, and the line between two tasks."""

from __future__ import annotations

import re
from string import ascii_letters

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.curate.detectors.endings import open_end, stump
from alpaca_pipe.curate.detectors.fences import open_fence
from alpaca_pipe.curate.detectors.texts import of_the_last_row

_NUMBER = r"(?:[(\[]?\d{1,3}[.)\]:]{1,2}[ \t]*)"
# `11. Instruction:` as the replies of Stanford's prompt number their tasks, `### Instruction:` as its template does;
# `5) Instruction:`, `**Instruction 2:**`, `Next task:`.
_TOLD = r"(?:Instruction|指令|指示|任务|任務|課題|지시|지시문|Anweisung|Instrucci[oó]n|Instrução|Istruzione|Инструкция|Hướng dẫn)"
_INSTRUCTION = lazy_regex(
    rf"^[ \t]*(?:{_NUMBER}(?:\*\*)?{_TOLD}(?:\*\*)?[ \t]*[:：]|(?:\#{{1,6}}[ \t]*|\*\*){_NUMBER}?{_TOLD}(?:[ \t]*\#?\d+)?(?:\*\*)?[ \t]*[:：]"
    rf"|{_TOLD}[ \t]*\#?\d+[ \t]*[:：]|(?:Next|New|Another)[ \t](?:task|instruction|question)[ \t]*:).*$",
    re.MULTILINE,
)
# `Task 2:` and `Input:` are headers where an `Output:` follows; `Human:` where the text before it is none of a talk.
_TASK = lazy_regex(
    r"^[ \t#*]*(?:(?:Task|Example|Exercise|Problem|Prompt|Aufgabe|Beispiel|Tarea|Ejemplo|Tâche|Exemple|Задача|Пример)[ \t]*#?\d+[ \t]*(?:[:.)].*)?"
    r"|(?:任务|任務|示例|例|課題|과제|예시)[ \t]*[\d一二三四五六七八九十]+[ \t]*(?:[:：.、)].*)?)$",
    re.MULTILINE,
)
_INPUT = lazy_regex(
    r"^[ \t#*]*(?:Inputs?|Eingabe|Entrada|Entrée|输入|輸入|入力|입력|Ввод)(?:\*\*)?[ \t]*[:：].*$",
    re.MULTILINE,
)
_OUTPUT = lazy_regex(
    r"^[ \t#*]*(?:(?:Output|Answer|Response)s?|Ausgabe|Antwort|Salida|Respuesta|Sortie|Réponse|输出|輸出|回答|答案|出力|출력|답변|Вывод|Ответ)"
    r"(?:\*\*)?[ \t]*[:：]",
    re.MULTILINE,
)
_TURN = lazy_regex(
    r"^[ \t#*]*(?:Human|User|Question|Q|Instruction|用户|人类|ユーザー|사용자|Benutzer|Usuario|Utilisateur|Пользователь)(?:\*\*)?[ \t]*[:：](?:\*\*)?.*$"
    r"|^[ \t]*(?:<\|(?:im_start\|>[ \t]*user|user\|>)|\[INST\]|<start_of_turn>[ \t]*user|<\|start_header_id\|>[ \t]*user).*$",
    re.MULTILINE,
)
_ANY_TURN = lazy_regex(
    r"^[ \t#*]*(?:Human|User|Assistant|AI|Bot|Q|A|Question|Answer|Chatbot|Customer|Agent|用户|助手|人类|ユーザー|アシスタント|사용자|Benutzer|Usuario"
    r"|Asistente|Utilisateur|Пользователь|Ассистент)(?:\*\*)?[ \t]*\d*[ \t]*[:：]",
    re.MULTILINE,
)
_ABOUT_TASKS = lazy_regex(r"\b(?:instructions?|tasks?|prompts?)\b", re.IGNORECASE)
_ABOUT_EXAMPLES = lazy_regex(
    r"\b(?:examples?|exercis\w*|problems?|quiz\w*|tests?|questions?|worksheets?|tasks?|prompts?|instructions?|algorithms?"
    r"|pseudo\w*|code|programs?|functions?|inputs?|outputs?|script|method|class|api|loop|regex|format|form|template|dataset)\b",
    re.IGNORECASE,
)
_ABOUT_A_TALK = lazy_regex(
    r"\b(?:conversation\w*|dialog\w*|chat\w*|interview\w*|scripts?|jokes?|riddles?|quiz\w*|questions?|q\s?&\s?a|faqs?|role\w*|plays?"
    r"|scenes?|transcripts?|bots?|discuss\w*|debate\w*|exchange\w*|talk\w*|convers\w*|speak\w*|humans?|users?|customer\w*|assistants?"
    r"|trivia|flash ?cards?|stor(?:y|ies)|skit|classif\w*|label\w*|punch\s?line\w*|survey\w*|form|trick\w*|puzzle\w*|analog\w*)\b",
    re.IGNORECASE,
)

# A line between two tasks: signs only, or one figure three times and more; an opened fence or comment is such a line too.
_BETWEEN = lazy_regex(r"\s*(?:[^\w\s][^\w\n]*|_[_\W]*|(\d)\1{2,}\s*)$")
_ENDED = lazy_regex(r"[.!?:。！？][\"'”’)\]*_]*$")
_ITEM = lazy_regex(r"^[ \t]*(\d{1,3})[.)][ \t]+\S")

_SEPARATOR = (
    r"(?:#{1,6}|\*{3,}|;{2,}|_{2,}|={3,}|-{3,}|(?:[-*_=] ){2,}[-*_=]|/{2,}|~{3,}|\+{3,}|%{2,}|@{2,}|&{2,}|\|{1,3}|\\{2,}|(\d)\1{2,}|<!--(?:[ \t]*-->)?"
    r"|(?://|#+|--|\*|[<\[(])?[ \t]*(?:end(?: of (?:the )?(?:output|response|answer|task|reply))|(?<=[#<\[(])(?:end|eof|stop))[\W_]{0,8}|EOF)"
)
_NO_SEPARATOR = frozenset(".!?,\"')]}" + ascii_letters)  # what most answers end in
_END_SAID = lazy_regex(r"\n.*\b(?:end|eof|stop)\b", re.IGNORECASE)
_LAST_LINE = lazy_regex(rf"\n[ \t]*{_SEPARATOR}\s*$", re.IGNORECASE)
_AFTER_END = lazy_regex(
    r"(?<=[.!?。！？\"”])[ \t]+(?:#{1,6}|\*{3,}|;{2,}|_{3,}|={3,}|~{3,}|<!--(?:[ \t]*-->)?)\s*$"
)
# Lines of signs that belong to what was asked for: tables, forms, patterns, code, lists that are ruled.
_RULED = lazy_regex(
    r"\b(?:ascii|art|draw\w*|patterns?|code|programs?|functions?|scripts?|tables?|forms?|surveys?|blanks?|html|markdown|css|sql"
    r"|worksheets?|invoices?|templates?|tick|grid|board|banner|box|line|numbers?|sequence|series|digits?|signs?|symbols?"
    r"|hashtags?|headings?|questionnaire)\b|[=+*/^]",
    re.IGNORECASE,
)


def leaked_header(example: Example) -> str:
    """The header line of a next task inside the output, or "". A task about tasks may well answer with one."""
    found = _leak(example)
    return found.group() if found else ""


@of_the_last_row
def _leak(example: Example) -> re.Match[str] | None:
    output = example.output
    if not (":" in output or "：" in output or "<" in output or "[" in output):
        return None  # each header has one of these, or is followed by one that has
    found = _INSTRUCTION.search(output)
    if found and not (
        _ABOUT_TASKS.search(example.instruction) and not output[: found.start()].strip()
    ):
        return found
    asked = f"{example.instruction}\n{example.input}"
    later = [one for one in (_task_or_input(output, asked), _turn(output, asked)) if one]
    return min(later, key=lambda one: one.start(), default=None)


def _task_or_input(output: str, asked: str) -> re.Match[str] | None:
    if not _OUTPUT.search(output) or _ABOUT_EXAMPLES.search(asked):
        return None
    for pattern in (_TASK, _INPUT):
        found = pattern.search(output)
        if found and output[: found.start()].strip() and _OUTPUT.search(output, found.end()):
            return found
    return None


def _turn(output: str, asked: str) -> re.Match[str] | None:
    found = _TURN.search(output)
    if not found:
        return None
    before = output[: found.start()]
    if (
        not before.rstrip(" \t").endswith("\n\n")
        or _ANY_TURN.search(before)
        or _ABOUT_A_TALK.search(asked)
    ):
        return None
    return found


def before_next_task(example: Example) -> str:
    """The output up to the next task and the line between the two; "" where cutting there would not be safe: no task
    follows, nothing is left, or what is left neither ends a sentence or a list nor had such a line after it."""
    found = _leak(example)
    if not found:
        return ""
    lines = example.output[: found.start()].splitlines()
    kept = lines[:]
    while kept and (not kept[-1].strip() or _BETWEEN.fullmatch(kept[-1])):
        kept.pop()
    divided = any(line.strip() for line in lines[len(kept) :])
    text = "\n".join(kept).rstrip()
    if open_end(text, 1) or stump(text) or open_fence(text):
        return ""
    return text if divided or _ENDED.search(text) or _is_list(kept, found.group()) else ""


def _is_list(lines: list[str], header: str) -> bool:
    """The header counts on where a list of two items or more ends: `3. Fig`, `4. Instruction: ...`."""
    items = [int(found[1]) for line in lines if (found := _ITEM.match(line))]
    number = re.search(r"\d+", header)
    return (
        len(items) > 1
        and bool(_ITEM.match(lines[-1]))
        and bool(number and int(number.group()) == items[-1] + 1)
    )


def without_separator(example: Example) -> str | None:
    """The output without the line that was to part it from the next task, which is left where a reply was stopped there
    (`#`, `***`, `111`, `;;`, `____`); None where it ends in none, or where such lines belong to it."""
    output = example.output.rstrip()
    if not output or (
        output[-1] in _NO_SEPARATOR and not _END_SAID.search(output, len(output) - 40)
    ):
        return None
    found = _LAST_LINE.search(output) or _AFTER_END.search(output)
    if not found:
        return None
    kept = output[: found.start()].rstrip()
    inside = any(
        _BETWEEN.fullmatch(line) and line.strip() not in ("", "}", "]", ")")
        for line in kept.splitlines()
    )
    if (
        not kept
        or inside
        or kept[-1] in ",:"
        or _RULED.search(example.instruction)
        or open_fence(example.output)
    ):
        return None
    return None if found[0].strip()[:1].isdigit() and not _ENDED.search(kept) else kept
