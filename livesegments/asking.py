"""Questions of an import, asked on a terminal."""

from collections.abc import Mapping, Sequence

import typer

from livesegments.screen import plain
from producer.importing.questions import Question


def ask(questions: Sequence[Question]) -> Mapping[str, str]:
    """Ask them one after the other; what is said."""
    answers: dict[str, str] = {}
    for question in questions:
        answers |= _ask(question)
    return answers


def _ask(question: Question) -> Mapping[str, str]:
    typer.echo(f"\n{plain(question.text)}", err=True)
    meant = [(choice.meaning, choice.answers) for choice in question.choices]
    if question.key:
        meant += [(text, {question.key: text}) for text in question.suggestions]
    for number, (meaning, _) in enumerate(meant, 1):
        typer.echo(f"  {number}  {plain(meaning)}", err=True)
    while True:
        wanted = "number" if not question.key else "number, or what it is" if meant else "answer"
        said = typer.prompt(f"  {wanted}", err=True).strip()
        if said.isdecimal() and 1 <= int(said) <= len(meant):
            return meant[int(said) - 1][1]
        if question.key and said:
            return {question.key: said}
        typer.echo(f"  a number from 1 to {len(meant)}, please", err=True)
