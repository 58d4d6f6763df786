"""style: documents - on real files of every kind; what its rows keep, and what it drops."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.errors import UserErrors
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.parsing.reply import Draft, Unread
from alpaca_pipe.generate.sources.context import of_documents
from alpaca_pipe.generate.sources.ground import Ground
from alpaca_pipe.generate.styles.documents import Documents
from tests.generate.scripted import ALL, VET, Scripted, reply, rules, run, seat
from tests.generate.test_documents import _pdf

STYLE = Documents(4, 500, None, ALL)
PASSAGE = (
    "The clinic opens at 8:00 and closes at 18:30. Mrs Lind answers the telephone. Missed appointments cost 20 euros, "
    "repeat prescriptions take two working days."
)
SEAT = seat(Ground(PASSAGE, "rules.md#0-140", {"file": "rules.md", "start": 0, "end": 140}))


def rule(instruction: str, output: str, input: str = "") -> str:
    found = STYLE.rejection(SEAT, Draft(instruction, input, output))
    return found.rule if found else ""


def test_the_prompt_shows_the_passage_the_seeds_and_the_file() -> None:
    request = STYLE.request_for(SEAT)
    text = request.messages[-1].content
    assert f"<passage>\n{PASSAGE}\n</passage>" in text and "rules.md" in text
    assert all(json.dumps(seed.example.instruction) in text for seed in SEAT.shown)
    assert request.decoding["response_format"]["type"] == "json_schema"
    assert "response_format" not in Documents(4, 500, None, frozenset()).request_for(SEAT).decoding


@pytest.mark.parametrize(
    "instruction, output, input, expected",
    [
        ("When does the clinic open?", "It opens at 8:00.", "", ""),
        ("When does the clinic open?", "It opens at 9:00.", "", "ungrounded"),
        ("Who answers the telephone?", "Mrs Lind answers it.", "", ""),
        ("Who answers the telephone?", "It is Mrs Berg who answers.", "", "ungrounded"),
        (
            "What does the client have to pay?",
            "Mr Falk has to pay 20 euros.",
            "Mr Falk did not come on Monday.",
            "",
        ),
        (
            "What does a missed appointment cost, according to the text?",
            "20 euros",
            "",
            "speaks_of_passage",
        ),
        ("Summarize this passage in one sentence.", "Open until 18:30.", "", "speaks_of_passage"),
        ("Answer from the text above: when is it open?", "From 8:00.", "", "speaks_of_passage"),
        (
            "Shorten the text to three words.",
            "Opens at 8:00",
            "The clinic opens at 8:00 in the morning.",
            "",
        ),
        ("When does it open?", "", "", "empty_output"),
        ("Open when?", "At 8:00", "", "min_words"),
    ],
)
def test_what_is_kept_and_dropped(instruction: str, output: str, input: str, expected: str) -> None:
    assert rule(instruction, output, input) == expected


def test_the_sentence_names_the_word_that_is_not_there() -> None:
    found = STYLE.rejection(
        SEAT, Draft("When does the clinic close?", "", "It closes at 19:00 sharp.")
    )
    assert (
        found
        and found.reason
        == "the output says '19:00', which neither the passage nor the task's input holds"
    )


@pytest.mark.parametrize(
    "text", ['{"tasks": []}', '```json\n{"tasks": [ ]}\n```', "[]", "{}", ' {"tasks":\n[]}\n']
)
def test_a_passage_that_yields_nothing_is_a_piece_of_its_own(text: str) -> None:
    (piece,) = STYLE.parse(SEAT, reply(text))
    assert isinstance(piece, Unread) and piece.rule == "nothing_to_ask"


@pytest.mark.parametrize(
    "text, finish, expected",
    [
        ("", "stop", "empty_reply"),
        ('{"tasks": [', "length", "no_instruction"),
        ("{}", "content_filter", "content_filter"),
        ('{"tasks": [{"instruction": "When', "length", "cut_off"),
        ("I cannot.", "stop", "not_json"),
    ],
)
def test_a_reply_that_failed_is_not_taken_for_nothing(
    text: str, finish: str, expected: str
) -> None:
    (piece,) = STYLE.parse(SEAT, reply(text, finish))  # type: ignore[arg-type]
    assert isinstance(piece, Unread)
    assert piece.rule == expected or (
        expected == "no_instruction" and piece.rule in ("cut_off", "not_json")
    )


def test_rows_keep_file_and_span_of_every_kind_of_file(tmp_path: Path) -> None:
    pytest.importorskip("bs4", reason="the extra 'documents' is not installed")
    from docx import Document

    texts = [
        part
        for part in (VET / "vaccinations.md").read_text().split("\n\n")
        if not part.startswith("#")
    ]
    (tmp_path / "a.txt").write_text(texts[0])
    (tmp_path / "b.md").write_text(f"# Cats\n\n{texts[2]}\n")
    (tmp_path / "c.html").write_text(f"<html><nav>Home</nav><p>{texts[1]}</p></html>")
    document = Document()
    document.add_paragraph(" ".join(texts[3].split()))
    document.save(str(tmp_path / "d.docx"))
    (tmp_path / "e.pdf").write_bytes(
        _pdf(
            "Rabbits wait in the room on the left. No dog or cat may enter it while they are there. "
            "Tell us at the desk when your rabbit has not eaten since yesterday."
        )
    )
    grounds = of_documents([tmp_path], 150)
    made = run(Scripted(), "documents", grounds, documents=(tmp_path,), count=400, times=8)
    spans = {ground.source: ground for ground in grounds}
    kinds = set()
    for row in made.examples:
        details = row.origin.details
        ground = spans[details["ground"]]
        assert (details["file"], details["start"], details["end"]) == tuple(ground.details.values())
        assert row.output in " ".join(ground.text.split())
        kinds.add(details["file"])
    assert kinds == {"a.txt", "b.md", "c.html", "d.docx", "e.pdf"}
    assert rules(made)["ungrounded"] > 0 and rules(made)["nothing_to_ask"] > 0
    assert made.exhausted().endswith("was used as often as generate.times allows")


def test_what_a_teacher_makes_up_never_becomes_a_row() -> None:
    def invents(request: Request) -> str:
        return json.dumps(
            {
                "tasks": [
                    {
                        "instruction": f"When was the clinic number {n} founded, and by whom?",
                        "input": "",
                        "output": f"In {1900 + n}, by Dr Holm.",
                    }
                    for n in range(4)
                ]
            }
        )

    made = run(Scripted(says=invents), "documents", of_documents([VET], 120), max_requests=12)
    assert not made.examples
    assert set(rules(made)) <= {"ungrounded", "likeness", "cut_off"}


def test_the_same_passage_in_two_files_is_asked_about_once(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text(PASSAGE)
    (tmp_path / "two.txt").write_text(PASSAGE.replace(" ", "\n"))
    assert [ground.source.partition("#")[0] for ground in of_documents([tmp_path], 100)] == [
        "one.txt"
    ]


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 broken")
    (tmp_path / "b.txt").write_text(" ")
    with pytest.raises(UserErrors, match=r"a\.pdf: cannot be read(.|\n)*b\.txt: it holds no text"):
        of_documents([tmp_path], 100)


def test_documents_must_be_named() -> None:
    with pytest.raises(ValueError, match="documents"):
        GenerateConfig.model_validate({"style": "documents", "count": 3})
