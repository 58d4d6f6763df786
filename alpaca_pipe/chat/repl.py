"""The conversation in a terminal. Where the model was trained with a template of one exchange, each message is an
instruction of its own, as in training; else the model sees what was said before."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.chat.inference import ChatAnswer, ChatModel, ChatSettings, asked
from alpaca_pipe.chat.pipe import row_of
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message
from alpaca_pipe.core.files import write_jsonl

if TYPE_CHECKING:
    from rich.console import Console

BLOCK = '"""'
HELP = f"""\
  /input TEXT      an input for the next instruction, such as the text that it is about
  /again           ask the last one again
  /new             begin a new conversation: what was said before is forgotten
  /base            ask the base model the same, side by side
  /temperature X   0 is greedy, the same answer every time; about 0.7 varies
  /save [FILE]     write this conversation as JSON lines
  /quit            leave; so does Ctrl-D
  {BLOCK}              begins and ends a message, or an input, of several lines
  Ctrl-C           stops the answer, not the program"""
_SIDE_BY_SIDE = 70  # columns; in less, one answer stands below the other


class Terminal:
    """about: what goes into each saved row. base: loads the base model, at its first use."""

    def __init__(
        self,
        tuned: ChatModel,
        base: Callable[[], ChatModel],
        how: ChatSettings,
        console: Console,
        about: dict[str, Any],
        folder: Path,
        input: str = "",
        system: str = "",
    ) -> None:
        self._tuned, self._base, self._how, self._console, self._about = (
            tuned,
            base,
            how,
            console,
            about,
        )
        self._folder, self._input, self._system = folder, input, system
        self._said: tuple[
            Message, ...
        ] = ()  # of this conversation, where the model can be shown it
        self._last: Example | None = None
        self._answer: ChatAnswer | None = None
        self._rows: list[dict[str, Any]] = []
        self._commands: dict[str, Callable[[str], None]] = {
            "/help": lambda _: self._say(HELP),
            "/input": self._set_input,
            "/again": self._again,
            "/new": self._begin_anew,
            "/base": self._ask_base,
            "/temperature": self._set_temperature,
            "/save": self._save,
        }

    def run(self) -> None:
        """Until /quit or the end of the input."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  line editing and history, where Python has it
        while True:
            try:
                message = self._message()
                if message in ("/quit", "/exit"):
                    return
                if message:
                    self._do(message)
            except EOFError:
                self._say("")
                return
            except KeyboardInterrupt:
                self._say("\n(/quit or Ctrl-D leaves)")
            except UserError as error:
                self._say(f"({error})")

    def _message(self) -> str:
        """One message; a block of several lines stands between two lines' triple quotes. Raises EOFError."""
        text = input("> ").strip()
        head, found, rest = text.partition(BLOCK)
        if not found or head.strip() not in ("", "/input"):
            return text
        while BLOCK not in rest:
            rest += "\n" + input("… ")
        body = rest.partition(BLOCK)[0].strip("\n")
        return (
            head + body if head.strip() else f"\n{body}"
        )  # so that a block is never taken for a command

    def _do(self, message: str) -> None:
        if not message.startswith("/"):
            text = message.removeprefix("\n")
            self._ask(asked(text, self._input, self._system, self._said))
            self._input = ""
            return
        name, _, rest = message.partition(" ")
        if name not in self._commands:
            raise UserError(f"there is no {name}", did_you_mean(name, [*self._commands, "/quit"]))
        self._commands[name](rest if name == "/input" else rest.strip())

    def _ask(self, example: Example) -> None:
        answer = self._tuned.answer(
            example,
            self._how,
            lambda piece: self._console.out(piece, end="", highlight=False),
        )
        self._say(f" {answer.note}" if answer.note else "")
        self._last, self._answer = example, answer
        if self._tuned.holds_conversations:
            *before, _ = example.conversation()
            self._said = (*before, Message("assistant", answer.text))
        self._rows.append(row_of(example, answer, self._about))

    def _again(self, _: str) -> None:
        if not self._how.temperature:
            self._say("(greedy: the same answer every time; /temperature 0.7 varies it)")
        self._ask(self._asked_last())

    def _begin_anew(self, _: str) -> None:
        self._said = ()
        self._say("(a new conversation)")

    def _ask_base(self, _: str) -> None:
        example = self._asked_last()
        with self._console.status("the base is loaded, once"):
            speaker = self._base()
        with self._console.status("the base reads; Ctrl-C stops it") as status:
            base = speaker.answer(
                example, self._how, lambda _: status.update("the base answers; Ctrl-C stops it")
            )
        assert self._answer is not None
        self._rows[-1]["base"] = {"output": base.text, "end": base.end}
        self._beside(("tuned", self._answer), ("base, asked the same", base))

    def _asked_last(self) -> Example:
        if self._last is None:
            raise UserError("nothing was asked yet", "write an instruction first")
        return self._last

    def _beside(self, *answers: tuple[str, ChatAnswer]) -> None:
        from rich.table import Table
        from rich.text import Text

        texts = [Text(f"{answer.text} {answer.note}".strip()) for _, answer in answers]
        if self._console.width < _SIDE_BY_SIDE:
            for (title, _), text in zip(answers, texts, strict=True):
                self._console.print(Text(title, style="bold"), text, sep="\n")
            return
        table = Table(box=None, expand=True, pad_edge=False, padding=(0, 3, 0, 0))
        for title, _ in answers:
            table.add_column(title, ratio=1)
        table.add_row(*texts)
        self._console.print(table)

    def _set_input(self, text: str) -> None:
        self._input = text
        self._say(
            "(the next instruction has this input)"
            if text
            else "(the next instruction has no input)"
        )

    def _set_temperature(self, text: str) -> None:
        try:
            value = float(text)
        except ValueError:
            value = -1
        if not 0 <= value <= 5:
            raise UserError(
                f"'{text}' is not a temperature", "write it like /temperature 0.7; 0 is greedy"
            )
        self._how = ChatSettings(value, self._how.max_tokens)
        self._say(f"(temperature {value:g}{', greedy' if not value else ''})")

    def _save(self, name: str) -> None:
        if not self._rows:
            raise UserError("nothing was asked yet", "write an instruction first")
        path = (
            Path(name).expanduser()
            if name
            else self._folder / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}.jsonl"
        )
        if name and path.exists():
            raise UserError(f"{path} is there already", "name another file")
        try:
            write_jsonl(path, self._rows)
        except OSError as error:
            raise UserError(
                f"{path} cannot be written: {error.strerror or error}", "name another file"
            ) from None
        self._say(f"({len(self._rows)} answers written to {path})")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)
