"""The objections: each one function that answers what is wrong with an example, or None. filter_config.py turns them on and off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from alpaca_pipe.core.config_table import ExistingPath
from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.detectors import (
    text_patterns,  # those whose patterns take long to compile are imported where they are used
)
from alpaca_pipe.curate.detectors.invisible import control_character, garbage_run
from alpaca_pipe.curate.detectors.languages import other_language
from alpaca_pipe.curate.detectors.loops import last_loop, may_repeat, repeated_item, repeated_share
from alpaca_pipe.curate.detectors.token_length import tokens
from alpaca_pipe.data import stanford_rules

Filter = Callable[..., str | None]  # (example, **settings) -> what is wrong


def min_words(example: Example, least: int = 4) -> str | None:
    """Stanford drops instructions of 3 words or fewer."""
    count = len(example.instruction.split())
    return f"the instruction has {count} words, at least {least} wanted" if count < least else None


def max_words(example: Example, most: int = 150) -> str | None:
    """Stanford drops instructions of more than 150 words."""
    count = len(example.instruction.split())
    return f"the instruction has {count} words, at most {most} wanted" if count > most else None


def media(example: Example) -> str | None:
    """Asks for something to be seen, heard, drawn or opened: Stanford's 18 words."""
    return stanford_rules.media(example.instruction)


def write_a_program(example: Example) -> str | None:
    """Stanford's rule: such instructions seldom say whether the program or its output is wanted."""
    return stanford_rules.write_a_program(example.instruction)


def punctuation_start(example: Example) -> str | None:
    """Stanford's rule: the first character is ASCII punctuation."""
    return stanford_rules.punctuation_start(example.instruction)


def ascii_start(example: Example) -> str | None:
    """Stanford's rule against other languages: the first character is not ASCII."""
    return stanford_rules.ascii_start(example.instruction)


def empty_output(example: Example) -> str | None:
    """Nothing in the output, or only a word that stands for nothing."""
    if not example.output.strip():
        return "the output is empty"
    spelled = text_patterns.is_no_output(example.output)
    return f"the output only says '{' '.join(example.output.split())}'" if spelled else None


def control_characters(example: Example) -> str | None:
    """Bytes that no text holds: C0 and C1 controls but tab and line ends, and U+FFFD, the mark of a failed decoding."""
    for name in text_patterns.FIELDS:
        if found := control_character(getattr(example, name)):
            return f"the {name} holds U+{ord(found):04X}"
    return None


def garbage(example: Example) -> str | None:
    """Accents piled on each other without letters, which broken generation leaves behind."""
    for name in text_patterns.FIELDS:
        if found := garbage_run(getattr(example, name)):
            return f"the {name} holds {len(found)} combining marks in a row, U+{ord(found[0]):04X} first"
    return None


def leaked_task(example: Example) -> str | None:
    """The output goes on with the next task of the reply."""
    header = short(text_patterns.leaked_header(example))
    return f"the output holds the next task: '{header}'" if header else None


def refusal(example: Example) -> str | None:
    """The output declines the task. Strict: apologies and excuses that were asked for stay."""
    from alpaca_pipe.curate.detectors.refusals import declined

    words = short(declined(example))
    return f"the output declines: '{words}'" if words else None


def output_is_input(example: Example) -> str | None:
    """The output is the input again, to the letter, and neither copying it nor leaving it as it was may be the answer."""
    return "the output is the input again" if text_patterns.only_copied(example) else None


def output_is_instruction(example: Example) -> str | None:
    """The output repeats the instruction."""
    same = example.output.strip() == example.instruction.strip()
    return "the output is the instruction again" if same else None


def instruction_in_input(example: Example) -> str | None:
    """The input says the whole instruction again."""
    return (
        "the input holds the instruction again"
        if text_patterns.says_again(example.input, example.instruction)
        else None
    )


def hidden_link(example: Example) -> str | None:
    """What the task is about lies behind a link, which a text model cannot open."""
    from alpaca_pipe.curate.detectors.missing_media import linked

    link = short(linked(example))
    return f"what lies behind '{link}' is not here" if link else None


def attachment(example: Example) -> str | None:
    """The input stands for a picture, a recording or a document that is not there."""
    from alpaca_pipe.curate.detectors.missing_media import attached

    words = short(attached(example))
    return f"the input says '{words}', which is not here" if words else None


def media_request(example: Example) -> str | None:
    """Asks for a picture, a drawing or sound beyond Stanford's 18 words, and not for its description or its code."""
    from alpaca_pipe.curate.detectors.missing_media import wished

    words = short(wished(example))
    return f"the instruction says '{words}', which a text model cannot make" if words else None


def code_fence(example: Example) -> str | None:
    """A ``` that is opened and never closed: the code was cut off."""
    fences = text_patterns.fences(example.output)
    return f"the output has {fences} code fences, one is not closed" if fences % 2 else None


def repetition(
    example: Example, most: float = 0.5, times: int = 4, least_words: int = 30
) -> str | None:
    """A loop, which small models fall into: the output ends in saying the same `times` times or more, or more than `most` of
    its five-word runs were there before; both from `least_words` words on, where no song, drill or schedule was asked for.

    Rae et al. 2021 (Gopher, table A1) draw the line at 0.15 of the characters, for web pages. Instruction data holds
    songs, drills and code: on the 52K 0.3 hits 49 rows, most of them sound; 0.5 hits none.
    """
    if may_repeat(example.instruction):
        return None
    if again := short(last_loop(example.output, times, least_words)):
        return f"the output ends in a loop: '{again}'"
    share = repeated_share(example.output, least_words, most)
    return (
        f"{share:.0%} of the output repeats itself, at most {most:.0%} wanted"
        if share > most
        else None
    )


def repeated_items(example: Example) -> str | None:
    """A list in the output says an item twice that the prompt does not."""
    if may_repeat(example.instruction):
        return None
    item = short(repeated_item(example.output, f"{example.instruction}\n{example.input}"))
    return f"a list in the output says '{item}' twice" if item else None


def truncated(example: Example, least_words: int = 12) -> str | None:
    """Prose that stops after a comma or a word that needs another one (from `least_words` words on), or after the first two
    digits of a year or a currency sign, which a stop sequence such as "20." leaves behind."""
    last = text_patterns.open_end(example.output, least_words) or text_patterns.stump(
        example.output
    )
    return f"the output stops in mid-sentence, at '{last}'" if last else None


def wrong_arithmetic(example: Example) -> str | None:
    """A computation that was asked for, or that the output writes down, and that comes out wrong by exact arithmetic."""
    from alpaca_pipe.curate.detectors.arithmetic import slip

    found = slip(example)
    return str(found) if found else None


def personal_data(example: Example, rows: Literal["foreign", "all"] = "foreign") -> str | None:
    """An e-mail address or a telephone number that may be somebody's. foreign: in rows that were imported or made from
    documents; what a teacher invents is no one's."""
    from alpaca_pipe.curate.detectors.personal_data import contact

    if (
        rows == "foreign"
        and example.origin.kind != "imported"
        and "document" not in example.origin.details
    ):
        return None
    for name in text_patterns.FIELDS:
        if found := contact(getattr(example, name)):
            return f"the {name} holds {'an e-mail address' if '@' in found else 'a telephone number'} that may be somebody's"
    return None


def language(example: Example, wanted: str = "en", certain: float = 0.99) -> str | None:
    """Another language than wanted (ISO 639-1), where the task is not about languages. Needs the extra `language`."""
    found = other_language(example, wanted, certain)
    return f"the {found[0]} is in '{found[1]}', not in '{wanted}'" if found else None


def length(
    example: Example,
    least: int = 0,
    most: int = 0,
    of: Literal["output", "row"] = "output",
    tokenizer: ExistingPath | None = None,
) -> str | None:
    """Bounds in words, or in tokens where `tokenizer` names a tokenizer.json; 0 is no bound."""
    if not least and not most:
        return None
    text = (
        example.output
        if of == "output"
        else f"{example.instruction}\n{example.input}\n{example.output}"
    )
    count, unit = (tokens(text, tokenizer), "tokens") if tokenizer else (len(text.split()), "words")
    if count < least:
        return f"the {of} has {count} {unit}, at least {least} wanted"
    return f"the {of} has {count} {unit}, at most {most} wanted" if most and count > most else None


def short(text: str, most: int = 60) -> str:
    """On one line, and cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


STANFORD: tuple[Filter, ...] = (
    min_words,
    max_words,
    media,
    write_a_program,
    punctuation_start,
    ascii_start,
)
ALL: tuple[Filter, ...] = (
    *STANFORD,
    empty_output,
    control_characters,
    garbage,
    leaked_task,
    refusal,
    output_is_input,
    output_is_instruction,
    instruction_in_input,
    hidden_link,
    attachment,
    media_request,
    code_fence,
    repetition,
    repeated_items,
    truncated,
    wrong_arithmetic,
    personal_data,
    language,
    length,
)
# Stanford's two are for English only, and a question may well start with a quotation; a language and a length are to be chosen.
OFF: tuple[Filter, ...] = (punctuation_start, ascii_start, language, length)
