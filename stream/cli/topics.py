"""Help in topics: one screen of what most runs need, and every option of one topic, or of all, on demand."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from model.guards import shown

ALL = "all"


class Add(Protocol):
    """Adds an option. `gist`: what it does, in a few words; `more`: sentences for the help of its topic. A `common`
    option is in the short help too. `how` is argparse's: type, choices, metavar, …"""

    def __call__(self, flag: str, gist: str, more: str = "", common: bool = False, **how: Any) -> None: ...


@dataclass(frozen=True)
class Topic:
    """Options that belong together. `title`: what they are about; `lesson`: what there is to know, with its own line
    breaks."""

    name: str
    title: str
    add_options: Callable[[Add], None]
    lesson: str


class CleanParser(argparse.ArgumentParser):
    """A parser whose errors repeat no address and no token, and give the terminal no orders."""

    _given: tuple[str, ...] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._given = tuple(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        for word in sorted(self._given, key=len, reverse=True):
            value = word.partition("=")[2] if word.startswith("--") else word
            if "://" in value or "@" in value:
                message = message.replace(value, "…").replace(repr(value)[1:-1], "…")
        super().error(shown(message))


class TopicParser(CleanParser):
    """A parser of all the topics' options. `--help` alone shows the common ones between `head` and `foot`; with a topic's
    name, or `all`, everything there is."""

    def __init__(self, prog: str, usage: str, topics: Sequence[Topic], head: str, foot: str) -> None:
        super().__init__(prog=prog, usage=usage, add_help=False)
        self._topics = {topic.name: topic for topic in topics}
        self._head, self._foot = head, foot
        # No choices: argparse would then ask for one of them at every --help.
        self.add_argument("-h", "--help", nargs="?", type=self._topic_name, action=_ShowHelp, help=argparse.SUPPRESS)
        for topic in topics:
            topic.add_options(_adder(self))

    def format_help(self) -> str:
        """The short one."""
        names = "\n".join(f"  {topic.name:<13}{topic.title}" for topic in self._topics.values())
        more = f"more: --help TOPIC teaches one of these, --help {ALL} shows everything\n{names}\n\n{self._foot}"
        page = _page(usage=self.usage or argparse.SUPPRESS, description=self._head, epilog=more)
        group = page.add_argument_group("what most runs need")
        for topic in self._topics.values():
            topic.add_options(_adder(group, short=True))
        return page.format_help()

    def help_of(self, name: str) -> str:
        """Of a topic, or of all."""
        page = _page(usage=(self.usage if name == ALL else None) or argparse.SUPPRESS)
        for topic in self._topics.values() if name == ALL else (self._topics[name],):
            topic.add_options(_adder(page.add_argument_group(f"{topic.name} ({topic.title})", topic.lesson)))
        return page.format_help()

    def _topic_name(self, text: str) -> str:
        names = [*self._topics, ALL]
        if text not in names:
            raise argparse.ArgumentTypeError(f"there is no topic {text!r}: expected one of {', '.join(names)}")
        return text


class _ShowHelp(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        assert isinstance(parser, TopicParser)
        print(parser.format_help() if values is None else parser.help_of(values), end="")
        parser.exit()


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=27)


def _page(usage: str, description: str | None = None, epilog: str | None = None) -> argparse.ArgumentParser:
    """Only for its help."""
    return argparse.ArgumentParser(
        usage=usage, description=description, epilog=epilog, add_help=False, formatter_class=_Formatter
    )


def _adder(group: Any, short: bool = False) -> Add:
    """`short`: only what is common, in a few words."""

    def add(flag: str, gist: str, more: str = "", common: bool = False, **how: Any) -> None:
        if common or not short:
            group.add_argument(flag, help=f"{gist}. {more}" if more and not short else gist, **how)

    return add
