"""For each rule: its arguments, answers that keep it, answers that break it. Read by test_rules.py and test_rules_agree.py."""

from __future__ import annotations

from typing import Any, NamedTuple


class Samples(NamedTuple):
    args: dict[str, Any]
    keeps: tuple[str, ...]
    breaks: tuple[str, ...]


SAMPLES: dict[str, tuple[Samples, ...]] = {
    "words": (
        Samples({"at_least": 3}, ("one two three", "It's so."), ("one two", "a-b")),
        Samples({"at_most": 4}, ("one two three four",), ("one two three four five",)),
    ),
    "sentences": (
        Samples(
            {"at_least": 2},
            ("It rains. We stay.", "Why? Because!", "Dr. Ito came late. He slept."),
            ("It rains, and we stay.", "It costs 3.50 dollars.", "Mr. Hill paints."),
        ),
        Samples(
            {"at_most": 2},
            ("One. Two.", "The U.S. is large. It is."),
            ("One. Two. Three.", "A first one. A second! A third?"),
        ),
    ),
    "paragraphs": (
        Samples({"count": 2}, ("One.\n\nTwo.", "\nOne\n \nTwo\n"), ("One.\nTwo.", "1\n\n2\n\n3")),
    ),
    "characters": (Samples({"at_most": 5}, ("Oslo", " Oslo. "), ("Oslo is it",)),),
    "include": (
        Samples(
            {"words": ["river", "cheese"]},
            ("Cheese by the river", "rivers, and cheeses"),
            ("Cheese by the lake", "By the river"),
        ),
    ),
    "exclude": (
        Samples(
            {"words": ["cat", "fur"]},
            ("It is a category of pets.", "furry and soft"),
            ("A cat.", "It has FUR."),
        ),
    ),
    "word_count": (
        Samples({"word": "salt", "at_least": 2}, ("salt and salt",), ("salt", "pepper")),
        Samples({"word": "salt", "at_most": 1}, ("salt", "none"), ("Salt is salt",)),
    ),
    "letter_count": (
        Samples({"letter": "z", "at_least": 3}, ("Zoo zebra zip", "zzz"), ("zoo, zebra", "none")),
        Samples({"letter": "o", "at_most": 1}, ("One", "sky"), ("good", "O no")),
    ),
    "bullets": (
        Samples(
            {"count": 2},
            ("* one\n* two", "Here:\n- one\n- two", "  * one\n  * two"),
            ("* one", "* a\n* b\n* c", "one\ntwo", "**one**\n**two**"),
        ),
    ),
    "numbered": (
        Samples(
            {"count": 3},
            ("1. a\n2. b\n3. c", "So:\n1) a\n2) b\n3) c"),
            ("1. a\n2. b", "1. a\n1. b\n1. c", "a\nb\nc"),
        ),
    ),
    "sections": (
        Samples(
            {"word": "Part", "at_least": 2},
            ("Part 1\nx\nPart 2\ny", "Part 1: x Part 2: y Part 3: z"),
            ("Part 1\nx", "First part\nSecond part"),
        ),
    ),
    "highlights": (
        Samples(
            {"at_least": 2},
            ("*one* and *two*", "a *b c* d *e*"),
            ("*one*", "one two", "* one\n* two"),
        ),
    ),
    "title": (Samples({}, ("<<Autumn>>\nLeaves", "so <<a b>>"), ("Autumn", "<<>>", "<a>")),),
    "placeholders": (
        Samples({"at_least": 2}, ("Dear [name], on [date]",), ("Dear [name]", "Dear friend")),
    ),
    "table": (
        Samples(
            {"columns": 2},
            ("| a | b |\n|---|---|\n| 1 | 2 |", "Here:\n\na | b\n- | -\n1 | 2"),
            ("| a | b |\n| 1 | 2 |", "a, b", "| a |\n|---|\n| 1 |"),
        ),
    ),
    "divided": (
        Samples(
            {"count": 2},
            ("one\n***\ntwo", "one *** two", "***\none\n***\ntwo"),
            ("one", "one\n***\ntwo\n***\nthree", "one\n***\n***\ntwo"),
        ),
    ),
    "line_count": (Samples({"count": 2}, ("a\nb", "a\n\nb\n"), ("a", "a\nb\nc")),),
    "lowercase": (Samples({}, ("it rains.", "ça va"), ("It rains.", "it is NOW")),),
    "uppercase": (Samples({}, ("IT RAINS.", "WAIT: 2 DAYS"), ("It RAINS", "it rains")),),
    "capital_words": (
        Samples({"at_least": 2}, ("STOP and LOOK", "GO GO GO"), ("STOP and look", "stop")),
        Samples({"at_most": 1}, ("STOP now", "stop"), ("STOP and LOOK",)),
    ),
    "without": (
        Samples({"mark": ","}, ("one and two",), ("one, two",)),
        Samples({"mark": "0-9"}, ("seven days",), ("7 days",)),
    ),
    "initials": (
        Samples({"letters": "cat"}, ("Come\nAnd\nTalk", "- c\n- a\n- t"), ("Cat", "c\na\nb")),
    ),
    "starts_with": (
        Samples(
            {"text": "Good morning"}, ("Good morning, all", "good MORNING"), ("Hi. Good morning",)
        ),
    ),
    "ends_with": (
        Samples(
            {"text": "The end."},
            ("So it was. The end.", '"Gone. the END."'),
            ("The end. Or not?", "It ends"),
        ),
    ),
    "quoted": (Samples({}, ('"Go on."', ' "a b" '), ("Go on.", '"Go" he said', '"')),),
    "postscript": (
        Samples({"marker": "P.S."}, ("Bye\nP.S. Write!", "Bye\np. s. write"), ("Bye", "PS: write")),
        Samples({"marker": "P.P.S"}, ("Bye\nP.P.S. Write!", "P. P. S"), ("Bye", "P.S. Write")),
    ),
    "paragraph_starts": (
        Samples(
            {"paragraph": 2, "of": 2, "word": "Still"},
            ("One.\n\nStill, two.", "One\n\nstill two"),
            ("Still one.\n\nTwo.", "One.\n\nTwo.\n\nStill", "Still"),
        ),
    ),
    "language": (
        Samples(
            {"code": "de"},
            ("Der Hund ist ein Tier, das mit den Menschen lebt und sie sehr mag.",),
            ("The dog is an animal that lives with us and likes to play in the garden.",),
        ),
        Samples(
            {"code": "fr"},
            ("La mer est très grande et les poissons sont dans l'eau avec nous.",),
            ("Das Meer ist sehr groß und die Fische sind im Wasser mit uns.",),
        ),
        Samples(
            {"code": "es"},
            ("El jardín es muy bonito y las flores son rojas, pero no hay árboles.",),
            ("Il giardino è molto bello e i fiori sono rossi, ma non ci sono alberi.",),
        ),
        Samples(
            {"code": "ru"},
            ("Сегодня хорошая погода, и мы идём гулять в парк.",),
            ("Today the weather is fine and we walk in the park.",),
        ),
    ),
    "json_answer": (
        Samples({}, ('{"a": 1}', "```json\n[1, 2]\n```", "7"), ("a: 1", '{"a": 1', 'So: {"a": 1}')),
        Samples({"keys": ["a", "b"]}, ('{"a": 1, "b": 2}',), ('{"a": 1}', '["a", "b"]', "x")),
        Samples({"items": 2}, ("[1, 2]",), ("[1]", '{"a": 1, "b": 2}')),
    ),
    "one_of": (
        Samples({"choices": ["yes", "no"]}, ("Yes.", "no", "**yes**"), ("Yes, it is", "maybe")),
    ),
    "two_answers": (
        Samples(
            {},
            ("Tom\n******\nTim", "one ****** two", "a\n******\nb\n******"),
            ("Tom", "Tom\n******\nTom", "a\n******\nb\n******\nc"),
        ),
    ),
    "repeats": (
        Samples(
            {"text": "Why do cats purr?"},
            ("Why do cats purr? They are glad.", "why do cats purr?\nNobody knows."),
            ("They are glad.", "Why do cats purr? "),
        ),
    ),
    "number": (Samples({}, ("366", " 42. ", "1,024", "-3.5"), ("366 days", "six", "4 2")),),
    "list_of": (
        Samples({"count": 3}, ("red, blue, green", "a,b,c."), ("red, blue", "a\nb\nc", "a,,b")),
        Samples({"count": 2, "separator": ";"}, ("Italy; Spain",), ("Italy, Spain",)),
    ),
}
