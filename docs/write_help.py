"""Write docs/cli.md, the reference of the command line, from the commands' own help.

python docs/write_help.py
"""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli import main

HEAD = """\
# Command line

Written by `docs/write_help.py` from `detector --help` and the help of each command.

Exit status: 0 done; 1 something in the input failed, the rest is done and the failures are listed on standard error;
2 wrong usage.
"""


def help_text() -> str:
    """The whole reference."""
    parts = [HEAD]
    for name, command in [
        ("detector", main),
        *((f"detector {key}", main.commands[key]) for key in sorted(main.commands)),
    ]:
        context = click.Context(command, info_name=name, terminal_width=100, help_option_names=["-h", "--help"])
        parts.append(f"## {name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(help_text(), encoding="utf-8")
