"""What one build may take: each limit stops it with a sentence, and leaves the process as it was."""

from __future__ import annotations

import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from torch import nn

from auditdb.errors import TooLarge
from auditdb.inspect import build as build_room
from auditdb.inspect.budget import build_budget
from auditdb.inspect.build import build

ON_LINUX = sys.platform == "linux"
GPT2 = {"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1, "vocab_size": 16}


def limits() -> Iterator[Any]:
    """All of the process that a budget touches."""
    yield signal.getsignal(signal.SIGVTALRM)
    yield signal.getitimer(signal.ITIMER_VIRTUAL)
    yield resource.getrlimit(resource.RLIMIT_DATA)
    yield len(nn.modules.module._global_module_registration_hooks)


@pytest.fixture(autouse=True)
def left_as_it_was() -> Iterator[None]:
    before = list(limits())
    yield
    assert list(limits()) == before


def test_modules() -> None:
    with pytest.raises(TooLarge) as caught, build_budget(modules=10):
        nn.ModuleList(nn.Identity() for _ in range(100))
    assert str(caught.value) == "the model has over 10 modules; building stopped there"


def test_memory() -> None:
    """A list of 10^9 numbers, as a config can ask for it, ends within a quarter of a GiB."""
    if not ON_LINUX:
        pytest.fail("memory is limited on Linux alone; run this test there")
    with pytest.raises(TooLarge) as caught, build_budget(memory=2**28):
        assert [0] * 10**9
    assert str(caught.value) == (
        "building this config takes over 0 GiB of memory, or more than this machine has free: "
        "a number in it is absurd, or the machine too small"
    )


def test_time_without_a_module() -> None:
    started = time.process_time()
    with pytest.raises(TooLarge) as caught, build_budget(idle_s=0.2):
        while True:
            try:
                sum(range(1_000))
            except Exception:  # as libraries do: the budget is no Exception
                continue
    assert str(caught.value) == (
        "building this config came to no module in 0 s of computing and was stopped: a number in it is absurd"
    )
    assert time.process_time() - started < 5


def test_time_with_modules_is_not_counted() -> None:
    ends = time.process_time() + 0.6
    with build_budget(idle_s=0.1):
        while time.process_time() < ends:
            nn.Sequential(nn.Identity())


def test_in_another_thread_the_modules_are_counted_all_the_same() -> None:
    told: list[str] = []

    def work() -> None:
        try:
            with build_budget(modules=3):
                nn.ModuleList(nn.Identity() for _ in range(10))
        except TooLarge as error:
            told.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == ["the model has over 3 modules; building stopped there"]


def test_labels_are_counted_before_a_dict_of_them_is_made() -> None:
    with pytest.raises(TooLarge) as caught:
        build({**GPT2, "num_labels": 10**12})
    assert str(caught.value) == "config.json says num_labels = 1000000000000: over 100,000 of them are not built"


@pytest.mark.parametrize(
    "raw",
    [
        {"model_type": "gpt_neo", "attention_types": [[["global"], 10**12]], "num_layers": 1},
        {"model_type": "gpt_neo", "hidden_size": 8, "vocab_size": 16, "attention_types": [[["global"] * 100, 10**8]]},
    ],
    ids=["in-parts", "at-once"],
)
def test_a_list_that_a_config_asks_for_under_any_name(raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """`attention_types` of gpt_neo says how often a list is repeated; no rule over key names finds that."""
    monkeypatch.setattr(build_room, "build_budget", lambda **_: build_budget(memory=2**28, idle_s=3.0))
    with pytest.raises(TooLarge):
        build(raw)


def test_a_tree_of_more_than_64_bits_of_numbers_is_refused() -> None:
    from auditdb.inspect.tree import read_tree

    model = build({**GPT2, "n_embd": 2 * 10**8, "n_layer": 50}).model
    with pytest.raises(TooLarge) as caught:
        read_tree(model)
    assert str(caught.value) == "the tree adds up to more than 2^63 numbers: a size in config.json is absurd"
