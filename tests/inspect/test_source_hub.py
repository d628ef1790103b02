"""The real huggingface_hub client against a small hub on loopback: what is found, what is moved, what works offline."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.client import look
from tests.servers.hub import File, Hub, Shard

LLAMA = b'{"model_type": "llama"}'
SHARD = Shard(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 10_000_000)
FILES: dict[str, File] = {".gitattributes": b"", "config.json": LLAMA, "model.safetensors": SHARD}
LISTED = [["config.json", 23, ""], ["model.safetensors", 10_000_000, SHARD.sha256]]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


def moves(commit: str, revision: str = "") -> str:
    asked = f"{revision!r} was asked for, and may move" if revision else "no revision was asked for, and a branch moves"
    return f"{asked}: org/model@{commit} names what was audited for good"


def test_branch_commit_and_branch_with_a_slash(hub: Hub, tmp_path: Path) -> None:
    main = hub.add("org/model", FILES)
    side = hub.add("org/model", {"config.json": b'{"model_type": "t5"}'}, branch="feature/x")
    looked = look(hub.url, tmp_path, "org/model", f"org/model@{main}", "org/model@main", "org/model@feature/x")
    assert [(a["kind"], a["model"], a["revision"], a["requested"], a["notes"]) for a in looked.answers] == [
        ("hub", "org/model", main, "", [moves(main)]),
        ("hub", "org/model", main, main, []),
        ("hub", "org/model", main, "main", [moves(main, "main")]),
        ("hub", "org/model", side, "feature/x", [moves(side, "feature/x")]),
    ]
    assert [a["config_text"] for a in looked.answers] == [LLAMA.decode()] * 3 + ['{"model_type": "t5"}']
    assert [a["files"] for a in looked.answers] == [LISTED] * 3 + [[["config.json", 20, ""]]]
    assert looked.answers[0]["folder"] == f"{tmp_path}/hub/models--org--model/snapshots/{main}"
    assert looked.stderr == ""
    fetched = {path.rpartition("/")[2] for path in hub.paths if "/resolve/" in path}
    assert fetched == {"config.json"}
    assert hub.store.requests == []


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_the_same_again_offline_with_the_hub_gone(variable: str, hub: Hub, tmp_path: Path) -> None:
    main = hub.add("org/model", FILES)
    side = hub.add("org/model", {"config.json": LLAMA}, branch="feature/x")
    models = ("org/model", f"org/model@{main}", "org/model@feature/x")
    online = look(hub.url, tmp_path, *models)
    hub.front.close()
    offline = look(
        hub.url,
        tmp_path,
        *models,
        "org/other",
        "org/model@v9",
        extra='source.read("model.safetensors", 0, 8)',
        **{variable: "1"},
    )
    same = ("model", "revision", "requested", "config_text", "folder")
    assert [[a[k] for k in same] for a in offline.answers[:3]] == [[a[k] for k in same] for a in online.answers]
    note = f"offline ({variable}): config and file list are those of the cache"
    assert [a["notes"] for a in offline.answers[:3]] == [[note, moves(main)], [note], [note, moves(side, "feature/x")]]
    assert offline.answers[0]["files"] == [["config.json", 23, ""]]
    assert offline.answers[0]["extra"] == (
        f"Unreachable: model.safetensors of org/model is not in the cache, and {variable} forbids asking the hub: "
        "unset it, or run once online before."
    )
    assert [(a["error"], a["message"]) for a in offline.answers[3:]] == [
        (
            "Unreachable",
            f"{name} is not in the cache, and {variable} forbids asking the hub: unset it, or run once online before.",
        )
        for name in ("org/other", "org/model@v9")
    ]


def test_no_network_without_offline_mode(hub: Hub, tmp_path: Path) -> None:
    hub.add("org/model", FILES)
    look(hub.url, tmp_path, "org/model")
    hub.front.close()
    ((error, message),) = look(hub.url, tmp_path, "org/model").refusals
    kind = message[message.index("reached (") + 9 : message.index(")")]
    assert (error, kind) in [("Unreachable", "ConnectError"), ("Unreachable", "ConnectionError")]
    assert message == (
        f"The hub at {hub.url[7:]} can't be reached ({kind}): check the network and HF_ENDPOINT; "
        "with HF_HUB_OFFLINE=1 a model that is in the cache is audited from there."
    )


def test_a_branch_that_moves_between_two_looks(hub: Hub, tmp_path: Path) -> None:
    first = hub.add("org/model", FILES)
    assert look(hub.url, tmp_path, "org/model").one["revision"] == first
    second = hub.add("org/model", {"config.json": b'{"model_type": "bert"}'})
    answer = look(hub.url, tmp_path, "org/model").one
    assert (answer["revision"], answer["config_text"]) == (second, '{"model_type": "bert"}')
    assert look(hub.url, tmp_path, f"org/model@{first}").one["config_text"] == LLAMA.decode()


READ_HEADERS = """[
    (name, len(source.read(name, 8, 8 + int.from_bytes(source.read(name, 0, 8), "little"))))
    for name, size, sha256 in source.files if name.endswith(".safetensors")
] + [len(source.read_all("model.safetensors.index.json", 50_000_000))]"""


def test_a_model_of_a_terabyte(hub: Hub, tmp_path: Path) -> None:
    """163 shards with headers of DeepSeek-V3's size and its index: no weight is asked for, and under 20 MB move."""
    shards: dict[str, File] = {}
    weight_map: dict[str, str] = {}
    for number in range(1, 164):
        file = f"model-{number:05d}-of-00163.safetensors"
        header = {
            f"model.layers.{number}.mlp.experts.{expert}.down_proj.weight": {
                "dtype": "F8_E4M3",
                "shape": [7168, 2048],
                "data_offsets": [expert * 14680064, (expert + 1) * 14680064],
            }
            for expert in range(280)
        }
        weight_map |= dict.fromkeys(header, file)
        shards[file] = Shard(json.dumps(header).encode(), 6_200_000_000)
    index = json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}, indent=2).encode()
    assert sum(shard.size for shard in shards.values() if isinstance(shard, Shard)) > 10**12
    hub.add("org/huge", {"config.json": LLAMA, "model.safetensors.index.json": index, **shards})
    answer = look(hub.url, tmp_path, "org/huge", extra=READ_HEADERS).one
    expected = [[name, len(shard.header)] for name, shard in shards.items() if isinstance(shard, Shard)]
    assert answer["extra"] == [*expected, len(index)]
    assert hub.weight_bytes_asked == 0
    assert sum(header for _, header in expected) + len(index) < hub.sent < 20_000_000
    # The store is asked directly from the second range of a file on, so a shard costs the hub one request.
    assert sum(".safetensors" in path and "index" not in path for path in hub.paths) == 163


def test_the_token_stays_with_the_hub(hub: Hub, tmp_path: Path) -> None:
    hub.add("org/model", FILES)
    looked = look(
        hub.url, tmp_path, "org/model", extra='source.read("model.safetensors", 0, 8)', HF_TOKEN="hf_SecretSecret1"
    )
    assert looked.one["extra"] == SHARD.start[:8].hex()
    sent = {request.headers.get("authorization") for request in hub.front.requests if "agent" not in request.path}
    assert sent == {"Bearer hf_SecretSecret1"}
    assert [request.headers.get("authorization") for request in hub.store.requests] == [None]
    given = look(hub.url, tmp_path, "org/model", arguments={"token": "hf_OtherOther2"})
    assert hub.front.requests[-1].headers["authorization"] == "Bearer hf_OtherOther2"
    for text in (looked.stdout, looked.stderr, given.stdout, given.stderr):
        assert "hf_" not in text
        assert "SIGNED" not in text


def test_tokens_of_netrc_do_not_replace_the_given_one(hub: Hub, tmp_path: Path) -> None:
    hub.add("org/model", FILES)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    look(
        hub.url,
        tmp_path,
        "org/model",
        extra='source.read("model.safetensors", 0, 8)',
        HF_TOKEN="hf_SecretSecret1",
        HOME=str(tmp_path),
        NETRC=str(tmp_path / ".netrc"),
    )
    ranges = [request for request in hub.front.requests if "range" in request.headers]
    assert [request.headers["authorization"] for request in ranges] == ["Bearer hf_SecretSecret1"] * 2


def test_a_weight_in_the_cache_is_read_from_there(hub: Hub, tmp_path: Path) -> None:
    commit = hub.add("org/model", FILES)
    folder = Path(look(hub.url, tmp_path, "org/model").one["folder"])
    blob = folder.parents[1] / "blobs" / SHARD.sha256
    blob.write_bytes(SHARD.start)
    (folder / "model.safetensors").symlink_to(blob)
    for variables in ({}, {"HF_HUB_OFFLINE": "1"}):
        answer = look(
            hub.url, tmp_path, f"org/model@{commit}", extra='source.read("model.safetensors", 0, 8)', **variables
        )
        assert answer.one["extra"] == SHARD.start[:8].hex()
    assert answer.one["files"] == [["config.json", 23, ""], ["model.safetensors", len(SHARD.start), SHARD.sha256]]
    assert hub.store.requests == []


CODE = b"import os\nopen(os.environ['HF_HOME'] + '/ran', 'w')\n"
FIND_CODE = (
    "[[file.path, file.sha256] for file in "
    "__import__('auditdb.inspect.remote_code').inspect.remote_code.find_code_files(source)]"
)


def test_remote_code_is_fetched_only_when_asked_and_never_run(hub: Hub, tmp_path: Path) -> None:
    auto_map = {
        "AutoConfig": "configuration.C",
        "AutoModel": "org/elsewhere--modeling.M",
        "AutoTokenizer": ["t.T", None],
    }
    config = json.dumps({"model_type": "mine", "auto_map": auto_map}).encode()
    hub.add("org/model", {"config.json": config, "configuration.py": CODE, "t.py": b"", "model.safetensors": SHARD})
    other = hub.add("org/elsewhere", {"modeling.py": CODE, "README.md": b""})
    look(hub.url, tmp_path, "org/model")
    assert [path for path in hub.paths if path.endswith(".py")] == []
    expected = [
        ["configuration.py", hashlib.sha256(CODE).hexdigest()],
        ["t.py", hashlib.sha256(b"").hexdigest()],
        [f"org/elsewhere@{other}:modeling.py", hashlib.sha256(CODE).hexdigest()],
    ]
    assert look(hub.url, tmp_path, "org/model", extra=FIND_CODE).one["extra"] == expected
    assert look(hub.url, tmp_path, "org/model", extra=FIND_CODE, HF_HUB_OFFLINE="1").one["extra"] == expected
    assert not (tmp_path / "ran").exists()


def test_auto_map_that_names_what_is_not_there(hub: Hub, tmp_path: Path) -> None:
    wrong = ({"AutoModel": "gone.M"}, {"AutoModel": "../x.M"}, {"AutoModel": 3}, "text")
    for number, auto_map in enumerate(wrong):
        hub.add(f"org/m{number}", {"config.json": json.dumps({"auto_map": auto_map}).encode()})
    looked = look(hub.url, tmp_path, *(f"org/m{number}" for number in range(4)), extra=FIND_CODE)
    assert [answer["extra"] for answer in looked.answers] == [
        "SourceError: auto_map of org/m0 names gone.py, and no such file is there: fetch it again.",
        "SourceError: auto_map of org/m1 names '../x.M', which is no class in a file: fix it.",
        "SourceError: auto_map of org/m2 holds 3, which is no class name: fix it.",
        "SourceError: auto_map of org/m3 is no map of class names: fix its config.json.",
    ]


def test_foreign_models_on_a_hub(hub: Hub, tmp_path: Path) -> None:
    hub.add("org/gguf", {"README.md": b"", "m.gguf": SHARD})
    hub.add("org/lora", {"adapter_config.json": b'{"base_model_name_or_path": "org/base"}'})
    pipeline = {
        "model_index.json": b'{"_class_name": "P"}',
        "text_encoder/config.json": LLAMA,
        "vae/config.json": b"{}",
    }
    hub.add("org/pipe", pipeline)
    hub.add("org/void", {".gitattributes": b""})
    hub.add("org/large", {"config.json": b" " * 10_000_001})
    hub.add("org/stray", {"config.json": LLAMA, "../../evil.safetensors": b"x"})
    names = ("gguf", "lora", "pipe", "void", "large")
    looked = look(hub.url, tmp_path, *(f"org/{name}" for name in names))
    assert looked.refusals == [
        (
            "NotAModel",
            "org/gguf holds GGUF files only (m.gguf) and no config.json: audit the model that it was converted from.",
        ),
        ("NotAModel", "org/lora is an adapter on org/base, not a model of its own: audit org/base."),
        (
            "NotAModel",
            "org/pipe is a diffusers pipeline (P), not one transformers model: "
            "download it, and audit the folder text_encoder in it.",
        ),
        ("NotAModel", "org/void is empty: give a folder with a config.json, or ORG/NAME of a model on the hub."),
        (
            "SourceError",
            "config.json of org/large has 10,000,001 bytes, and at most 10,000,000 are sensible: check the model.",
        ),
    ]
    assert not any("/org/large/resolve/" in path for path in hub.paths)
    stray = look(hub.url, tmp_path, "org/stray").one
    assert stray["files"] == [["config.json", 23, ""]]
    note = "the hub's list names '../../evil.safetensors', which leads out of the model: left out"
    assert stray["notes"][0] == note


def test_an_unwritable_cache(hub: Hub, tmp_path: Path) -> None:
    hub.add("org/model", FILES)
    (tmp_path / "hub").write_text("a file where the cache should be")
    started = time.monotonic()
    ((error, message),) = look(hub.url, tmp_path, "org/model").refusals
    assert error == "SourceError"
    assert message[: message.index("(")] == "The hub cache can't be written "
    assert message[message.index(")") :] == "): set HF_HOME to a folder with room that you may write."
    assert time.monotonic() - started < 10
