"""Folders on disk: what a MODEL argument means, what is read of it, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from auditdb.errors import NotAModel, SourceError, Unreachable, UsageError
from auditdb.inspect.folder import SourceFile
from auditdb.inspect.remote_code import find_code_files
from auditdb.inspect.source import load_config, parse_model_argument, resolve
from auditdb.records import CodeFile

LLAMA = '{"model_type": "llama"}\n'
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def message(error: type[Exception], model: str, **more: str) -> str:
    with pytest.raises(error) as caught:
        resolve(model, **more)
    assert type(caught.value) is error
    return str(caught.value)


def test_folder_as_a_whole(tmp_path: Path) -> None:
    folder = make(
        tmp_path / "m",
        {
            "config.json": LLAMA,
            "model.safetensors": "12345",
            "modeling.py": "x = 1\n",
            ".git/config": "no",
            "sub/a": "",
        },
    )
    source = resolve(f"{folder}/")
    rows = f"config.json\0{digest(LLAMA)}\nmodeling.py\0{digest('x = 1' + chr(10))}\n"
    assert (source.kind, source.model, source.requested) == ("folder", str(folder), "")
    assert source.revision == f"local-{digest(rows)[:12]}"
    assert (source.config_text, source.config, source.folder) == (LLAMA, {"model_type": "llama"}, folder)
    assert source.files == (
        SourceFile("config.json", 24),
        SourceFile("model.safetensors", 5),
        SourceFile("modeling.py", 6),
        SourceFile("sub/a", 0),
    )
    assert (source.notes, source.incomplete) == ((), "")
    assert [source.read("model.safetensors", *span) for span in ((1, 3), (3, 99), (9, 12))] == [b"23", b"45", b""]
    assert source.read_all("model.safetensors", 5) == b"12345"
    assert find_code_files(source) == (CodeFile("modeling.py", digest("x = 1\n")),)


def test_revision_follows_config_and_code_and_nothing_else(tmp_path: Path) -> None:
    folder = make(tmp_path, {"config.json": LLAMA, "a.py": "1"})
    first = resolve(str(folder)).revision
    make(folder, {"model.safetensors": "weights", "README.md": "text"})
    assert resolve(str(folder)).revision == first
    make(folder, {"a.py": "2"})
    second = resolve(str(folder)).revision
    make(folder, {"config.json": LLAMA + " "})
    assert len({first, second, resolve(str(folder)).revision}) == 3


def test_reading_refusals(tmp_path: Path) -> None:
    source = resolve(str(make(tmp_path / "m", {"config.json": LLAMA})))
    make(tmp_path, {"secret": "s"})
    for name in ("../secret", "/etc/passwd", "model.safetensors"):
        with pytest.raises(SourceError) as caught:
            source.read(name, 0, 1)
        assert str(caught.value) == f"{source.model} has no file {name!r}: what names it is out of step with the files."
    with pytest.raises(SourceError) as caught:
        source.read_all("config.json", 5)
    assert str(caught.value) == f"config.json of {source.model} has more than 5 bytes: check the file."


def test_recorded_as(tmp_path: Path) -> None:
    folder = make(tmp_path / "m", {"config.json": LLAMA})
    plain = resolve(str(folder))
    named = resolve(str(folder), recorded_as="org/model")
    pinned = resolve(str(folder), recorded_as=f"org/model@{COMMIT}")
    assert (named.kind, named.model, named.revision, named.requested) == ("folder", "org/model", plain.revision, "")
    assert (pinned.model, pinned.revision, pinned.requested) == ("org/model", COMMIT, COMMIT)
    assert named.notes == (f"recorded as org/model on the user's word; the files are those of {folder}",)
    for bad in ("", "@x", "name@", "a\nb"):
        assert message(UsageError, str(folder), recorded_as=bad) == (
            f"--as takes NAME or NAME@REVISION, and {bad.strip()!r} is neither."
        )
    assert message(UsageError, "org/other", recorded_as="x") == (
        "--as names a model in a local folder, and org/other is one on a hub: leave --as out."
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpt2", ("gpt2", "")),
        ("org/model", ("org/model", "")),
        (" org/model@main ", ("org/model", "main")),
        ("org/model@feature/x@2", ("org/model", "feature/x@2")),
        (f"org/my.model-v1@{COMMIT}", ("org/my.model-v1", COMMIT)),
    ],
)
def test_names_on_a_hub(text: str, expected: tuple[str, str]) -> None:
    assert parse_model_argument(text) == expected


@pytest.mark.parametrize(
    ("text", "error", "expected"),
    [
        ("", UsageError, "The model's name is empty: give a folder, or ORG/NAME of a model on the hub."),
        (
            "a\x1b[31m",
            UsageError,
            "The model's name holds characters that can't be printed: give a folder or ORG/NAME.",
        ),
        ("org/model@", UsageError, "No revision follows the @ in 'org/model@': give one, or leave the @ out."),
        (
            "org/mo del",
            UsageError,
            "'org/mo del' is neither a folder here nor a name on a hub: write ORG/NAME[@REVISION].",
        ),
        ("./none", SourceError, "No folder is at ./none: check the path, or give ORG/NAME of a model on the hub."),
        ("a/b/c", SourceError, "No folder is at a/b/c: check the path, or give ORG/NAME of a model on the hub."),
        (
            "~nobody/x",
            SourceError,
            "No folder is at ~nobody/x: check the path, or give ORG/NAME of a model on the hub.",
        ),
        (
            "https://user:hunter22@host/org/model",
            UsageError,
            "The model was given as an address: give ORG/NAME[@REVISION], and the hub in HF_ENDPOINT.",
        ),
        (
            "http:/user:hunter22@host",
            UsageError,
            "The model was given as an address: give ORG/NAME[@REVISION], and the hub in HF_ENDPOINT.",
        ),
    ],
)
def test_arguments_that_mean_nothing(
    text: str, error: type[Exception], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message(error, text) == expected


def test_a_folder_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path, {"org/model/config.json": LLAMA, "org/model@v1/config.json": LLAMA, "org/empty/x/y": ""})
    assert parse_model_argument("org/model") == (str(tmp_path / "org/model"), "")
    assert parse_model_argument("org/model@v1") == (str(tmp_path / "org/model@v1"), "")
    assert parse_model_argument("org/model@v2") == ("org/model", "v2")
    wins = "org/model is a folder here, which wins over a model of that name on a hub"
    assert resolve("org/model").notes == (wins,)
    assert resolve("./org/model").notes == ()
    assert message(SourceError, "./org/model@v2") == (
        "./org/model is a folder, and a folder has no revisions: leave @v2 out, or use --as."
    )
    assert message(NotAModel, "org/empty") == (
        f"{tmp_path}/org/empty holds no config.json (found: x/y): give the folder or model that has one. "
        "(org/empty is a folder here, which wins over a model of that name on a hub)"
    )


def test_links_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = make(tmp_path / "real", {"config.json": LLAMA})
    (tmp_path / "link").symlink_to(folder)
    assert parse_model_argument("~/link") == (str(folder), "")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert message(SourceError, str(tmp_path / "loop")) == (
        f"{tmp_path}/loop can't be followed (Too many levels of symbolic links): check the link."
    )
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "config.json").symlink_to(bad / "config.json")
    assert message(SourceError, str(bad)) == (
        f"{bad}/config.json can't be followed (Too many levels of symbolic links): check the link."
    )
    (folder / "shard").symlink_to(folder / "gone")
    assert resolve(str(folder)).notes == ("shard is not readable and was left out (No such file or directory)",)


def test_a_snapshot_in_a_hub_cache(tmp_path: Path) -> None:
    cache = tmp_path / "hub" / "models--org--model"
    sha256 = digest("weights")
    make(cache, {f"blobs/{sha256}": "weights", "blobs/abc": LLAMA, f"snapshots/{COMMIT}/sub/config.json": LLAMA})
    snapshot = cache / "snapshots" / COMMIT
    (snapshot / "config.json").symlink_to("../../blobs/abc")
    (snapshot / "model.safetensors").symlink_to(f"../../blobs/{sha256}")
    (tmp_path / "link").symlink_to(snapshot)
    for path in (snapshot, tmp_path / "link"):
        assert parse_model_argument(str(path)) == ("org/model", COMMIT)
        source = resolve(str(path))
        assert (source.kind, source.model, source.revision, source.requested) == ("hub", "org/model", COMMIT, COMMIT)
        assert source.files == (
            SourceFile("config.json", 24),
            SourceFile("model.safetensors", 7, sha256),
            SourceFile("sub/config.json", 24),
        )
        assert source.notes == ("a path in the hub cache: only the files that it holds were looked at",)
    with pytest.raises(Unreachable) as caught:
        source.read("model-2.safetensors", 0, 8)
    assert str(caught.value) == (
        "model-2.safetensors of org/model is not in the cache, and a path is never fetched from a hub: "
        f"give org/model@{COMMIT} to have it fetched."
    )
    assert parse_model_argument(str(snapshot / "sub")) == (str(snapshot / "sub"), "")
    assert resolve(str(snapshot), recorded_as="mine").kind == "folder"


def test_what_is_no_regular_file_does_not_block(tmp_path: Path) -> None:
    pipe, plain, deaf = tmp_path / "pipe", tmp_path / "plain", tmp_path / "deaf"
    for folder in (pipe, plain, deaf):
        folder.mkdir()
    os.mkfifo(pipe / "config.json")
    (plain / "config.json").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(deaf / "config.json"))
        kinds = {pipe: "a named pipe", plain: "a folder", deaf: "a socket"}
        for folder, kind in kinds.items():
            assert message(NotAModel, str(folder)) == (
                f"{folder}/config.json is {kind}, and a regular file is needed: give a model's folder."
            )
    assert message(NotAModel, "/dev/null") == (
        "/dev/null is a device: give a model's folder, or ORG/NAME of a model on the hub."
    )
    make(pipe, {"ok/config.json": LLAMA})
    os.mkfifo(pipe / "ok" / "modeling.py")
    assert resolve(str(pipe / "ok")).files == (SourceFile("config.json", 24),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "X is empty: fetch it again."),
        (b"\xff{}", "X is not UTF-8 text (byte 0): it is damaged or no config, fetch it again."),
        (
            b'{"a": 1',
            "X is not JSON (Expecting ',' delimiter, line 1 column 8): it is damaged or cut off, fetch it again.",
        ),
        (b"[1]", "X holds a JSON array, and an object is needed: check the file."),
        (b"null", "X holds a JSON null, and an object is needed: check the file."),
        (b'"a"', "X holds a JSON string, and an object is needed: check the file."),
        (b"NaN", "X holds a JSON number or flag, and an object is needed: check the file."),
        (
            b'{"a":' * 101 + b"1" + b"}" * 101,
            "X is nested more than 100 levels deep, and no config is: check the file.",
        ),
        (b'{"a":' * 10**6, "X is nested more than 100 levels deep, and no config is: check the file."),
        (b'{"a": "\\ud800"}', "X holds text that is no Unicode (a lone surrogate): it is damaged, fetch it again."),
        (b'{"a": ' + b"9" * 5000 + b"}", "X holds a number with too many digits: it is damaged, fetch it again."),
        (b" " * 10_000_001, "X has 10,000,001 bytes, and a config has at most 10,000,000: check the file."),
    ],
    ids=range(12),
)
def test_config_refusals(text: bytes, expected: str) -> None:
    with pytest.raises(SourceError) as caught:
        load_config(text, "X")
    assert str(caught.value) == expected


def test_config_takes_what_real_ones_hold() -> None:
    config = load_config('{"limit": Infinity, "low": -Infinity, "a": 1, "a": 2, "n": NaN}', "X")
    assert json.dumps(config) == '{"limit": Infinity, "low": -Infinity, "a": 2, "n": NaN}'
    deep = load_config('{"a":' * 99 + "1" + "}" * 99, "X")
    assert list(deep) == ["a"]


def test_a_folder_costs_no_heavy_import(tmp_path: Path) -> None:
    folder = make(tmp_path, {"config.json": LLAMA})
    program = (
        "import sys; from auditdb.inspect import endpoint; from auditdb.inspect.remote_code import find_code_files\n"
        "from auditdb.inspect.source import resolve\n"
        f"find_code_files(resolve({str(folder)!r}))\n"
        "print({'torch', 'transformers', 'huggingface_hub', 'requests', 'urllib3'} & set(sys.modules))"
    )
    root = Path(__file__).parents[2]
    shown = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True).stdout
    assert shown == "set()\n"
