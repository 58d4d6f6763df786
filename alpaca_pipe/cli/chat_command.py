"""The command that talks to the tuned model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpaca_pipe.cli.common import ROAD, Rehearsed, Runs, finished, opened, refuse_packed
from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    from alpaca_pipe.models.trained_model import Trained

app = typer.Typer()


@app.command(rich_help_panel=ROAD)
def chat(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe that was run; RECIPE@2026-11-20: of that day; or the folder of an unpacked adapter.",
        ),
    ],
    prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Answer this one instruction and exit.")
    ] = None,
    input: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="TEXT",
            help="The input of the first instruction; from a pipe, of all instructions.",
        ),
    ] = "",
    system: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="A system text before every instruction, if the rows had one."
        ),
    ] = "",
    base: Annotated[
        bool, typer.Option("--base", help="With --prompt or a pipe: ask the base model too.")
    ] = False,
    temperature: Annotated[
        float, typer.Option(min=0, max=5, help="0 is greedy: the same answer every time.")
    ] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens in an answer, at most.")] = 512,
    seed: Annotated[
        int | None, typer.Option(help="The random seed, for a temperature above 0.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --prompt or a pipe: a JSON object a line.")
    ] = False,
    tools: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Let it use tools: calculator, search_wikipedia, file.py:function; several with commas.",
        ),
    ] = None,
    teacher: Annotated[
        bool,
        typer.Option(
            "--teacher", help="With --tools: ask RECIPE's teacher instead, priced and capped."
        ),
    ] = False,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
) -> None:
    """Talk to the model that RECIPE tuned, on this machine. From a pipe: one instruction per line. Nothing is sent anywhere,
    unless by a tool that searches, or with --teacher."""
    from alpaca_pipe.chat.inference import ChatSettings
    from alpaca_pipe.chat.main import talk

    if tools is not None or teacher:
        if tools is None:
            raise UserError("--teacher goes with --tools", "add --tools calculator")
        if input or system or base or temperature or seed is not None:
            raise UserError(
                "--tools takes a question alone",
                "leave out --input, --system, --base, --temperature, --seed",
            )
        _with_tools(recipe, prompt, tools, teacher, max_tokens, as_json, runs, rehearse)
        return
    trained, own = _trained(recipe, runs, rehearse)
    talk(
        trained,
        own / "chats",
        prompt=prompt,
        input=input,
        system=system,
        base=base,
        how=ChatSettings(temperature, max_tokens),
        seed=seed,
        as_json=as_json,
    )


def _with_tools(
    recipe: str,
    prompt: str | None,
    tools: str,
    teacher: bool,
    step_tokens: int,
    as_json: bool,
    runs: Path,
    rehearse: bool,
) -> None:
    from alpaca_pipe.chat import with_tools
    from alpaca_pipe.react.tools import tools_named

    named = tools_named(tools.split(","))
    if prompt is not None and not prompt.strip():
        raise UserError("--prompt is empty", 'write a question: --prompt "What is 12 * 12?"')
    called, _, when = recipe.partition("@")
    if teacher:
        if when:
            raise UserError(
                f"--teacher asks the teacher of the recipe as it is now, not of {when}",
                f"write {called} alone",
            )
        loaded, workspace = opened(called, None, runs, rehearse)
        name, root = loaded.name, workspace.root
        who = with_tools.teacher_speaker(loaded, workspace, step_tokens)
    else:
        trained, own = _trained(recipe, runs, rehearse)
        name, root = own.name, own.parent
        who = with_tools.tuned_speaker(trained, step_tokens)
    with_tools.talk_with_tools(who, named, prompt, with_tools.new_transcript(root, name), as_json)


def _trained(recipe: str, runs: Path, rehearse: bool) -> tuple[Trained, Path]:
    """The model of a recipe, or of an unpacked adapter's folder; and the folder in which its conversations are kept."""
    from alpaca_pipe.models.packed_adapter import adapter_in, is_packed_adapter
    from alpaca_pipe.models.trained_model import find

    refuse_packed(recipe)
    if is_packed_adapter(Path(recipe)):
        trained = adapter_in(Path(recipe))
        return trained, runs / trained.recipe
    called, _, when = recipe.partition("@")
    name, workspace = finished(called, runs, rehearse)
    return find(workspace, name, when), workspace / name
