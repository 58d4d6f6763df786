"""What the scripted teacher says: a pure function of what it is asked, in whatever format the question wants.

Rows are put together from phrases, enough of them that most are novel by ROUGE-L; some are junk as real teachers
make it: repeats, near-duplicates, pieces without an answer, tasks that a text model cannot do.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from alpaca_pipe.core.files import digest_of
from alpaca_pipe.teachers.scripted.scripted_judge import judgement, lot

VERBS = (
    "Summarize",
    "Describe",
    "Explain",
    "Compare",
    "List reasons for",
    "Write a letter about",
    "Give advice on",
    "Outline the history of",
    "Name three risks of",
    "Invent a slogan for",
    "Draft a short speech on",
    "Criticize",
    "Suggest improvements to",
    "Define",
    "Tell a joke about",
    "Write a haiku on",
    "Argue against",
    "Estimate the cost of",
    "Create a quiz about",
    "Rank the benefits of",
    "Plan a lesson on",
    "Compose an email regarding",
    "Classify",
    "Find an analogy for",
    "Recommend books about",
    "What should beginners know about",
    "Why do people enjoy",
    "How would you teach",
    "Rewrite a myth about",
    "Predict the future of",
)
THINGS = (
    "river ferries",
    "sourdough bread",
    "night trains",
    "honey bees",
    "solar panels",
    "school gardens",
    "chess openings",
    "tax forms",
    "mountain rescue",
    "old maps",
    "street markets",
    "remote work",
    "public libraries",
    "coral reefs",
    "wool spinning",
    "bicycle lanes",
    "tea ceremonies",
    "volcanic soil",
    "folk songs",
    "first aid",
    "winter tires",
    "urban foxes",
    "compound interest",
    "lighthouses",
    "board games",
    "sleep habits",
    "bridge design",
    "vaccines",
    "handwriting",
    "apple orchards",
    "ocean currents",
    "job interviews",
    "kite flying",
    "data privacy",
    "opera",
    "mushroom picking",
    "glass recycling",
    "desert plants",
    "time zones",
    "dog training",
)
PLACES = (
    "in small towns",
    "during the nineteenth century",
    "for a family of five",
    "on a tight budget",
    "near the coast",
    "after heavy rain",
    "at high altitude",
    "without modern tools",
    "in hot climates",
    "before the exam season",
    "among retired teachers",
    "for people who cannot read",
    "inside large companies",
    "across northern Europe",
    "with children present",
    "while traveling alone",
    "under strict rules",
    "between two rival cities",
    "when money is short",
    "around the new year",
    "over a long weekend",
    "despite bad weather",
    "for left-handed users",
    "from a farmer's view",
)
MANNERS = (
    "in two sentences",
    "using plain words",
    "as a numbered list",
    "with one example",
    "politely",
    "in under fifty words",
    "and mention one exception",
    "as if speaking to a child",
    "without any jargon",
    "in a hopeful tone",
    "step by step",
    "and end with a question",
    "from least to most important",
    "with a surprising fact",
    "like a radio announcer",
    "for a skeptical reader",
    "citing common sense only",
    "in the style of a diary",
    "and keep it formal",
    "then give your own opinion",
)
CLASSICS = (  # what every teacher comes back to
    "Write a short poem about the sea.",
    "Give three tips for staying healthy.",
    "What is the capital of France?",
    "Explain how a rainbow forms.",
    "Translate the sentence into Spanish.",
    "Classify the following animals.",
    "Write a story about a lost dog.",
    "List five renewable sources of energy.",
)
UNDOABLE = (
    "Draw a graph of the sales figures.",
    "Describe the attached image in detail.",
    "Sing.",
    "Go on.",
)
_SHARES = {"repeat": 5, "classic": 5, "undoable": 4, "unanswered": 3, "fresh": 83}  # of 100 rows


class ScriptedRow(NamedTuple):
    instruction: str
    input: str
    output: str


_GRADE = re.compile(r"from 0 to (\d+)\b.*\{\"grade\": number", re.DOTALL)  # curate's grading
_ONE_TASK = re.compile(r"(?:^|\n)Write a task about [^\n]+\.$")  # generate's style two-step
_LIST = re.compile(r"(\d+)\s*[.)]\s*Instruction:\s*$")
_BARE_LIST = re.compile(r"(\d+)\s*([.)])\s*$")
# An end that a reply goes on from, with the user's own words behind it (generate.prompt).
_OPEN_END = re.compile(
    r"^(?:[ \t]*\d+[ \t]*[.)](?:[ \t]*Instruction:)?|Write a task about [^\n]+\.)[ \t]*$(?=\s*\S)",
    re.MULTILINE,
)
_LABEL = re.compile(r"(?:^|\n)\W*(\w+):\s*$")
_PASSAGE = re.compile(r"<passage>\n(.*)\n</passage>", re.DOTALL)  # generate's style documents
_EVOLVED = re.compile(r"<task>\n(.*)\n</task>", re.DOTALL)  # evol
_INSTANCES = re.compile(
    r"^(Class label|Example 1)\b.*\nTask: [^\n]+\n\Z", re.DOTALL | re.MULTILINE
)  # self-instruct


def answer_to(asked: Mapping[str, Any]) -> str:
    """The whole reply to `Request.asked()`, before stops and the token limit."""
    chance = random.Random(digest_of(dict(asked)))
    if found := _GRADE.search(asked["messages"][0][1]):
        return _grade(int(found[1]), chance)
    question = asked["messages"][-1][1]
    if said := judgement(question) or lot(asked["messages"][0][1], chance):
        return said
    return _to_a_style(asked, question, chance)


def _to_a_style(asked: Mapping[str, Any], question: str, chance: random.Random) -> str:
    if found := _PASSAGE.search(question):
        return _from_passage(found[1], chance)
    if "Action: tool[" in asked["messages"][0][1]:
        return _step(len(asked["messages"]), chance)
    schema = _schema(asked["decoding"].get("response_format"))
    if schema is not None:
        return json.dumps(_filled(schema, "", _rows(chance), chance, schema), ensure_ascii=False)
    if found := _EVOLVED.search(question):
        return _evolved(found[1], chance)
    if found := _INSTANCES.search(question):
        return _instances(found[1] == "Class label", chance)
    if ends := list(_OPEN_END.finditer(question)):
        question = question[: ends[-1].end()]
    if _ONE_TASK.search(question):
        return next(_rows(chance)).instruction
    if found := _LIST.search(question):
        return _numbered_list(int(found[1]), chance)
    if found := _BARE_LIST.search(question):
        return "".join(
            f"\n{int(found[1]) + i}{found[2]} {row.instruction}" if i else f" {row.instruction}"
            for i, row in enumerate(_some(_rows(chance), chance.randint(3, 12)))
        )
    if found := _LABEL.search(question):
        row = next(_rows(chance))
        return " " + {
            "instruction": row.instruction,
            "task": row.instruction,
            "question": row.instruction,
            "input": row.input or "<noinput>",
            "classification": chance.choice(("yes", "no", "no")),
        }.get(found[1].lower(), row.output)
    return _fresh(chance).output


def _grade(scale: int, chance: random.Random) -> str:
    """Mostly good, some poor, as graders are (AlpaGasus, figure 3); in steps of a half."""
    grade = round(2 * scale * min(1.0, chance.betavariate(6, 1.2))) / 2
    words = (
        "It answers what was asked."
        if grade > 0.8 * scale
        else "It leaves out a part of what was asked."
    )
    return json.dumps({"grade": grade, "reason": words})


def _from_passage(passage: str, chance: random.Random) -> str:
    """Tasks about its sentences; one of ten answers says what the passage does not, one passage of twenty yields nothing."""
    paragraphs = [
        " ".join(part.split()) for part in passage.split("\n\n") if not part.startswith("#")
    ]
    sentences = [
        found.group()
        for part in paragraphs
        for found in re.finditer(r"[^\s.!?][^.!?]{20,}[.!?]", part)
    ]
    tasks = []
    for sentence in (
        chance.sample(sentences, min(len(sentences), chance.randint(2, 5)))
        if chance.random() > 0.05
        else []
    ):
        words = list(dict.fromkeys(re.findall(r"\b[a-z]{4,}\b", sentence)))
        about = ", ".join(chance.sample(words, min(len(words), 4)))
        wrong = " This has been so since 1987." if chance.random() < 0.1 else ""
        tasks.append(
            {
                "instruction": f"{chance.choice(_ASKS)} {about}?",
                "input": "",
                "output": sentence + wrong,
            }
        )
    return json.dumps({"tasks": tasks}, ensure_ascii=False)


_ASKS = (
    "What holds for",
    "What should I know about",
    "What do you tell a client about",
    "How is it with",
    "Explain the rule about",
    "Which rule is there for",
)


def _step(messages: int, chance: random.Random) -> str:
    """Generate's style react: a question is calculated once or twice, then answered; one reply of twenty is not in the form."""
    if chance.random() < 0.05:
        return _fresh(chance).output
    if messages <= 2 or (messages == 4 and chance.random() < 0.3):
        return f"Thought: I need a number.\nAction: calculator[{chance.randint(2, 999)} * {chance.randint(2, 99)}]"
    return f"Thought: I know the answer.\nAnswer: {_fresh(chance).output}"


def _evolved(task: str, chance: random.Random) -> str:
    """Mostly the task with something added; sometimes the same again, or with words about it."""
    first = task.split("\n")[0].rstrip(".?! ")
    kind = chance.choices(("added", "other", "same", "spoken of"), (60, 25, 10, 5))[0]
    if kind == "other":
        return _fresh(chance).instruction
    longer = f"{first}, {chance.choice(PLACES)}, {chance.choice(MANNERS)}. Say how this bears on {chance.choice(THINGS)} too."
    return {
        "added": longer,
        "same": task.split("\n")[0],
        "spoken of": f"Sure! Here is a harder version:\n\n{longer}",
    }[kind]


def _instances(labels: bool, chance: random.Random) -> str:
    """One to three instances; one task of twelve has the same input twice, with another output."""
    rows = _some(_rows(chance), chance.randint(1, 3))
    if labels:
        return "".join(
            f"Class label: {label}\nInput: {row.instruction}\n"
            for label, row in zip(("good", "bad", "neither"), rows, strict=False)
        )
    if chance.random() < 0.3:
        return f"Output: {rows[0].output}\n"
    if chance.random() < 0.08:
        rows = [row._replace(instruction=rows[0].instruction) for row in rows]
    return "".join(
        f"Example {number}\nInput: {row.instruction}\nOutput: {row.output}\n"
        for number, row in enumerate(rows, 1)
    )


def _numbered_list(first: int, chance: random.Random) -> str:
    """Goes on from an open `{first}. Instruction:`, one piece of about thirty damaged, up to number 20."""
    pieces = []
    for number, row in zip(range(first, 22), _rows(chance), strict=False):
        head = "" if number == first else f"{number}. Instruction:"
        text = f"{head} {row.instruction}\n{number}. Input:\n{row.input or '<noinput>'}\n{number}. Output:\n{row.output}\n"
        pieces.append(text.replace(f"{number}. Output:\n", "") if chance.random() < 0.03 else text)
    return "###\n".join(pieces)


def _rows(chance: random.Random) -> Iterator[ScriptedRow]:
    """Rows without end."""
    row = _fresh(chance)
    while True:
        kind = chance.choices(list(_SHARES), list(_SHARES.values()))[0]
        if kind == "repeat":
            instruction = row.instruction.replace(" in ", " within ").replace(" for ", " to suit ")
            yield row._replace(instruction=instruction)
        elif kind == "classic":
            yield _fresh(chance)._replace(instruction=chance.choice(CLASSICS))
        elif kind == "undoable":
            yield _fresh(chance)._replace(instruction=chance.choice(UNDOABLE))
        else:
            row = _fresh(chance)
            yield row if kind == "fresh" else row._replace(output="")


def _fresh(chance: random.Random) -> ScriptedRow:
    verb, place, manner = chance.choice(VERBS), chance.choice(PLACES), chance.choice(MANNERS)
    thing, other = chance.sample(THINGS, 2)
    ask = verb.startswith(("What", "Why", "How"))
    instruction = f"{verb} {thing} {place}{'?' if ask else ' ' + manner + '.'}"
    text = f"Notes on {thing} and {other}, {place}." if chance.random() < 0.35 else ""
    return ScriptedRow(instruction, text, _sentences(thing, other, place, chance))


def _sentences(thing: str, other: str, place: str, chance: random.Random) -> str:
    lines = [
        f"Most people meet {thing} {place}.",
        f"Unlike {other}, {thing} need patience.",
        f"The first step is to look closely at {thing}.",
        f"A good example are {other}.",
        f"It helps to ask someone who knows {thing} well.",
        f"There are limits, mostly {chance.choice(PLACES)}.",
        f"In short, {thing} repay the effort.",
        f"Some prefer {chance.choice(THINGS)} instead.",
    ]
    return " ".join(chance.sample(lines, chance.randint(1, 5)))


def _some(rows: Iterator[ScriptedRow], count: int) -> list[ScriptedRow]:
    return [next(rows) for _ in range(count)]


def _schema(wanted: Any) -> dict[str, Any] | None:
    """The JSON schema that a response_format asks for; any object for the old json_object."""
    if not isinstance(wanted, Mapping) or wanted.get("type") == "text":
        return None
    schema = (wanted.get("json_schema") or {}).get("schema") or wanted.get("schema")
    row = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ScriptedRow._fields},
    }
    return dict(schema) if schema else row


def _filled(
    schema: Mapping[str, Any],
    name: str,
    rows: Iterator[ScriptedRow],
    chance: random.Random,
    root: Mapping[str, Any],
    row: ScriptedRow | None = None,
) -> Any:
    """A value that the schema admits: objects, arrays, strings, numbers, booleans, enum, const, $ref, anyOf."""
    if "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return _filled(target, name, rows, chance, root, row)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return chance.choice(schema["enum"])
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return _filled(schema[choice][0], name, rows, chance, root, row)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        row = next(rows)
        return {
            key: _filled(inner, key, rows, chance, root, row)
            for key, inner in schema.get("properties", {}).items()
        }
    if kind == "array":
        least = schema.get("minItems", 1)
        count = chance.randint(least, schema.get("maxItems", max(least, 5)))
        return [_filled(schema.get("items", {}), name, rows, chance, root) for _ in range(count)]
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 10)
        return (
            chance.randint(low, high) if kind == "integer" else round(chance.uniform(low, high), 1)
        )
    if kind == "boolean":
        return chance.random() < 0.5
    return None if kind == "null" else _text(name, row or next(rows))


def _text(name: str, row: ScriptedRow) -> str:
    return {
        "instruction": row.instruction,
        "task": row.instruction,
        "question": row.instruction,
        "prompt": row.instruction,
        "input": row.input,
    }.get(name.lower(), row.output)
