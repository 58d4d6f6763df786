from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row(output="Sorry, this task involves a visual output which the model cannot generate."),
        "the output declines: 'Sorry, this task involves a visual output which the model...'",
    ),
    (
        row(output="I'm sorry, but I can't assist with that."),
        "the output declines: 'I'm sorry, but I can't assist with that'",
    ),
    (
        row(output="As an AI language model, I do not have access to that."),
        "the output declines: 'As an AI language model, I do not'",
    ),
    (
        row(output="No output as GPT models cannot draw."),
        "the output declines: 'No output as GPT models cannot'",
    ),
    (
        row(output="<nooutput> - A sculpture cannot be made by a language model."),
        "the output declines: 'nooutput> - A sculpture cannot be made by a language model'",
    ),
    (
        row(output="This kind of request cannot be fulfilled by text alone."),
        "the output declines: 'This kind of request cannot be fulfil'",
    ),
    (
        row("Book a table for two.", output="I cannot book a table for two."),
        "the output declines: 'I cannot book'",
    ),
    (
        row(output="You are asking for a picture, which cannot be made here."),
        "the output declines: 'You are asking for a picture, which cannot'",
    ),
]
PASSES = [
    row(
        "Write an apology to a customer.",
        output="I'm sorry that your order was late. We cannot undo it.",
    ),
    row("Write a reply to a request.", output="I'm sorry, but I can't help with that."),
    row("Say that you can wait no longer.", output="I can't wait to see the sea!"),
    row(
        "What is printed by this code?",
        output="No output is printed, because the model is empty.",
    ),
    row("What can language models not do?", output="A language model cannot see."),
]
