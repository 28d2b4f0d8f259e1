"""`ganvas methods`."""

from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Flag
from ganvas.methods import names, summary


def methods(*, json: Flag = False) -> None:
    """List the available methods.

    Args:
        json: print JSON
    """
    known = {name: summary(name) for name in names()}
    if json:
        console.print_json([{"name": name, "summary": sentence} for name, sentence in known.items()])
    else:
        console.table("", ("method", "what it is"), known.items())
        console.tell("\nganvas describe METHOD shows its networks, ganvas train METHOD --help its settings")


COMMAND = Command(run=methods, usage="[--json]", examples=("methods", "methods --json"))
