"""The tree of commands, from the table of operations. A branch is made when somebody walks on it: help stays quick."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from intercom_bulk.cli import commands, options
from intercom_bulk.cli.values import READERS
from intercom_bulk.operations import OPERATIONS, RESOURCES, STEPS, Argument, Operation, StepWord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Parser", "make_parser"]

PROGRAM = "intercom-bulk"
DESCRIPTION = (
    "Bulk operations on an Intercom workspace: looked at first, paced to the\nAPI's limit, accounted for item by item."
)
EPILOG = """\
exit codes:
  0    all done, or there was nothing to do
  1    some items failed, or need a look
  2    it was not understood, or could not be meant: nothing was written
  3    halted, or refused by Intercom (a wrong token, a missing permission)
  130  interrupted or declined; `runs resume RUN` goes on

The token comes from INTERCOM_ACCESS_TOKEN or from .env, never from the command
line, where others could read it. No token yet? intercom-bulk demo
"""
LOOKS = {
    "preview": "what an operation would do, without doing it",
    "plan": "freeze in a file what an operation would change",
}
FIRST = (*LOOKS, "apply", "query")


_FILTER = r"(?:[A-Za-z_][\w.]+(?:[:~^$]|!=|[<>]=?)(?!=))"
_NOT = re.compile(rf"-(?:\(|{_FILTER})")
"""How a search begins that begins with a minus; no option does."""
_SEARCH = re.compile(rf"-?\(?{_FILTER}")


class Parser(argparse.ArgumentParser):
    """One command. `fill` adds its arguments when they are first needed."""

    def __init__(self, *args: Any, fill: Callable[[Parser], None] | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", formatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)
        self._fill = fill
        self.branches: dict[str, Parser] = {}
        self.told: dict[str, str] = {}
        self._words: list[str] = []

    def filled(self) -> Parser:
        """The same parser, with its arguments."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)
            places = [str(action.metavar or action.dest) for action in self._get_positional_actions()]
            self.usage = self.usage or " ".join((self.prog, *places, *([] if self.branches else ["[options]"])))
        return self

    @property
    def arguments(self) -> Sequence[argparse.Action]:
        """All that it understands, the branches among them."""
        self.filled()
        return self._actions

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._words = list(args or ())
        return super(Parser, self.filled()).parse_known_args(args, namespace)

    def _parse_optional(self, arg_string: str) -> Any:
        """A search may begin with a minus, and is no option for that."""
        return None if _NOT.match(arg_string) else super()._parse_optional(arg_string)

    def format_help(self) -> str:
        return super(Parser, self.filled()).format_help()

    def error(self, message: str) -> NoReturn:
        """One sentence and where to look; argparse itself would print all the options first."""
        wrong = re.search(r"invalid choice: '([^']*)'", message)
        if wrong is not None and self.branches and wrong[1] not in self.branches:
            near = get_close_matches(wrong[1], self.branches, n=3, cutoff=0.5)
            message = f"there is no {wrong[1]!r}" + (f": did you mean {' or '.join(near)}?" if near else ".")
        if message.startswith("one of the arguments --where"):
            search = " ".join(word for word in self._words if _SEARCH.match(word))
            message += f": did you mean --where {shlex.quote(search)}?" if search else ""
        self.exit(2, f"{self.prog}: {message}\nSee: {self.prog} --help\n")

    def branch(self, words: Any, name: str, told: str, fill: Callable[[Parser], None]) -> None:
        """A command below this one."""
        self.told[name] = told
        self.branches[name] = words.add_parser(name, help=told, description=_sentence(told), fill=fill)


def make_parser(*, grouped: bool = True) -> Parser:
    """The whole tree, of which only the trunk exists yet. `grouped`: the commands stand in groups in its description;
    else in argparse's own list, where tools look for them."""
    root = Parser(prog=PROGRAM, epilog=EPILOG, usage=f"{PROGRAM} COMMAND [...]")
    root.add_argument("--version", action=_Version, help="print the version")
    options.add_common(root)
    words = root.add_subparsers(
        metavar="COMMAND", prog=PROGRAM, required=True, parser_class=Parser, help=argparse.SUPPRESS if grouped else None
    )
    _add_operations(root, words, "act")
    for name, told in LOOKS.items():
        root.branch(words, name, told, _looking_filler(name))
    for command in commands.COMMANDS:
        root.branch(words, command.name, command.help, command.fill)
    root.description = "\n\n".join((DESCRIPTION, *_listed(root.told)))
    return root


def _listed(told: dict[str, str]) -> Iterator[str]:
    """The commands in groups; argparse itself has one list for all."""
    operations = [row.verb for row in OPERATIONS if row.resource == "conversations"]
    rest = [name for name in told if name not in {*operations, *RESOURCES, *FIRST}]
    groups = {"conversations": operations, "others": RESOURCES[1:], "look first": FIRST, "and around it": rest}
    for heading, names in groups.items():
        yield "\n".join((f"{heading}:", *(f"  {name:<14}{told[name]}" for name in names)))


def _looking_filler(mode: str) -> Callable[[Parser], None]:
    """The operations once more, below `preview` and `plan`."""

    def fill(parser: Parser) -> None:
        words = parser.add_subparsers(metavar="OPERATION", required=True, parser_class=Parser)
        _add_operations(parser, words, mode)

    return fill


def _add_operations(parser: Parser, words: Any, mode: str) -> None:
    for row in OPERATIONS:
        if row.resource == "conversations":
            parser.branch(words, row.verb, row.help, _operation_filler(row, mode))
    for resource in RESOURCES[1:]:
        rows = [row for row in OPERATIONS if row.resource == resource]
        told = f"{', '.join(row.verb for row in rows[:5])} ... {resource}"
        parser.branch(words, resource, told, _resource_filler(rows, mode))


def _resource_filler(rows: Sequence[Operation], mode: str) -> Callable[[Parser], None]:
    def fill(parser: Parser) -> None:
        words = parser.add_subparsers(metavar="VERB", required=True, parser_class=Parser)
        for row in rows:
            parser.branch(words, row.verb, row.help, _operation_filler(row, mode))

    return fill


def _operation_filler(row: Operation, mode: str) -> Callable[[Parser], None]:
    def fill(parser: Parser) -> None:
        parser.set_defaults(operation=row, mode=mode, run="intercom_bulk.cli.acting:act")
        parser.description = _sentence(row.help.replace("them", row.resource, 1))
        which = "--ids FILE" if row.by_ids else "--where TEXT"
        parser.usage = " ".join([parser.prog, *_usage(row), which, "..."])
        example = "contacts.csv" if row.by_ids else f"'{options.EXAMPLES[row.resource]}'"
        typed = " ".join([parser.prog, *_example(row)])
        parser.epilog = f"for example:\n  {typed} \\\n    {which.split()[0]} {example}\n"
        own = parser.add_argument_group("what to do")
        for word in STEPS if row.verb == "steps" else ():
            _add_step(own, word)
        for argument in row.arguments:
            _add(own, argument)
        options.add_selection(parser, row)
        if mode == "plan":
            options.add_plan_file(parser)
        if mode == "act":
            options.add_confirmation(parser, row)
            options.add_pace(parser)
            options.add_record(parser)
        options.add_common(parser)

    return fill


def _add(group: argparse._ArgumentGroup, argument: Argument) -> None:
    told: dict[str, Any] = {"help": argument.help, "default": argparse.SUPPRESS}
    if argument.kind == "on":
        told |= {"action": "store_const", "const": argument.value}
    elif argument.choices:
        told |= {"choices": argument.choices}
    else:
        told |= {"type": READERS[argument.kind], "metavar": _metavar(argument)}
    if not argument.is_place:
        group.add_argument(argument.name, dest=argument.dest, required=argument.required, **told)
    elif argument.kind == "pairs":
        group.add_argument(argument.dest, nargs="+" if argument.required else "*", **told)
    else:
        group.add_argument(argument.dest, **told)


def _metavar(argument: Argument) -> str:
    return argument.metavar or argument.name.lstrip("-").replace("-", "_").upper()


class _Step(argparse.Action):
    """Steps in the order in which they are typed."""

    def __call__(self, _: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        word = next(word for word in STEPS if word.name == option_string)
        namespace.steps = [*(getattr(namespace, "steps", None) or []), (word, values)]


def _add_step(group: argparse._ArgumentGroup, word: StepWord) -> None:
    takes: dict[str, Any] = {"nargs": 0}
    if word.keyword is not None:
        takes = {"type": READERS[word.kind], "metavar": word.metavar}
    group.add_argument(word.name, dest="steps", action=_Step, help=word.help, **takes)


def _usage(row: Operation) -> Iterator[str]:
    if row.verb == "steps":
        yield "--STEP ..."
    for one in row.arguments:
        if one.is_place:
            yield _metavar(one) + (" ..." if one.kind == "pairs" else "")
        elif one.required:
            yield f"{one.name} {_metavar(one)}"


def _example(row: Operation) -> Iterator[str]:
    """What one would type for it."""
    typed = {"body": "'Hello'", "tag": "vip", "attributes": "plan=pro", "--until": "3d", "ticket_type": "'Bug report'"}
    if row.verb == "steps":
        yield "--note 'Fixed.' --tag incident-42 --close"
    elif "--team" in row.either:
        yield "--team 'Tier 2'"
    for one in row.arguments:
        if one.is_place:
            yield typed.get(one.name, _metavar(one))
        elif one.required:
            yield f"{one.name} {typed[one.name]}"


class _Version(argparse.Action):
    """Looked up only when it is asked for: that takes time."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: Any, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"{PROGRAM} {version(PROGRAM)}\n")
        parser.exit()


def formatter(prog: str) -> argparse.HelpFormatter:
    """In colour on a terminal, where rich-argparse is installed; 80 columns at most."""
    width = min(_columns(), 80) - 1
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        try:
            from rich_argparse import RawDescriptionRichHelpFormatter
        except ImportError:
            pass
        else:
            rich: argparse.HelpFormatter = RawDescriptionRichHelpFormatter(prog, width=width, max_help_position=28)
            return rich
    return argparse.RawDescriptionHelpFormatter(prog, width=width, max_help_position=28)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _sentence(told: str) -> str:
    return f"{told[:1].upper()}{told[1:]}".removesuffix(" ...") + "."
