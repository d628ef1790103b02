"""The README is true: its generated parts are today's, its commands run, its first audit is the real one, its files exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

from tests.cli.command import ROOT, auditdb

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_generated_parts_are_todays() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.generated(TEXT) == TEXT


def test_links_and_make_targets_exist() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", TEXT)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert links and all((ROOT / link).exists() for link in links)
    assert set(re.findall(r"`make ([a-z]+)", TEXT)) <= targets


def console() -> list[tuple[str, list[str]]]:
    """Each `$ auditdb …` of the console blocks with the lines that the README shows below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", TEXT, re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return [(command, shown) for command, shown in found if command.startswith("auditdb ")]


VOLATILE = re.compile(r"^(model|toolchain|run) |^recorded as|, built as (bfloat16|float32)\)|buffers$|^modules ")


def test_every_command_runs_in_order(tmp_path: Path) -> None:
    """In one folder, as somebody would who reads the page from top to bottom. What is shown is what is printed."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    import transformers

    newest = not transformers.__version__.startswith("4.")
    for command, shown in console():
        if not newest and "gpt-oss" in command:
            break  # transformers 4.44.2 has no gpt-oss
        done = auditdb(*shlex.split(command)[1:], cwd=tmp_path)
        assert (done.code in (0, 1), done.err.count("auditdb:")) == (True, 0), (command, done)
        if shown and newest:
            printed = (done.out + done.err).splitlines()
            assert [line for line in printed if not VOLATILE.search(line)] == [
                line for line in shown if not VOLATILE.search(line)
            ]
