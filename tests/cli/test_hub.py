"""The classic command lines against a small hub and a recorded endpoint; secrets and remote code on every path."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import transformers

from tests.cli.command import EXAMPLES, Done, auditdb
from tests.servers.endpoint import cards, endpoint, recorded
from tests.servers.hub import Hub, Shard

TOKEN = "hf_veryverysecrettoken"
KEY = "sk-veryverysecretkey"
NEWEST = not transformers.__version__.startswith("4.")
CONFIG = (EXAMPLES / "Llama-3.2-1B" / "config.json").read_bytes()


def run(hub: Hub, cwd: Path, *arguments: str, **environment: str) -> Done:
    return auditdb("run", *arguments, cwd=cwd, HF_ENDPOINT=hub.url, NO_PROXY="*", **environment)


def recorded_runs(cwd: Path) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(cwd / "audit.db")
    try:
        return connection.execute(
            "SELECT m.name, r.revision, r.requested FROM runs r JOIN models m ON m.id = r.model_id ORDER BY r.id"
        ).fetchall()
    finally:
        connection.close()


def test_the_classic_command_lines(tmp_path: Path) -> None:
    with Hub() as hub:
        commit = hub.add("org/llama", {"config.json": CONFIG})
        assert run(hub, tmp_path, "--model", "org/llama", "--fast").code == 0
        assert run(hub, tmp_path, "--model", f"org/llama@{commit}", "--fast").code == 0
        served = cards({"id": "alias", "object": "model", "root": "org/llama", "parent": None})
        with endpoint(served, version=recorded("version")) as server:
            done = run(hub, tmp_path, "--endpoint", server.url, "--fast")
            assert (done.code, "PASS  endpoint" in done.out) == (0, True)
        no_weights = run(hub, tmp_path, "--model", "org/llama", "--no-hooks")
        assert no_weights.code == 3
        assert "has no weights beside its config" in no_weights.err
    # The server is gone.
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    assert run(hub, tmp_path, "--model", f"org/llama@{commit}", "--fast", **offline).code == 0
    assert recorded_runs(tmp_path) == [
        ("org/llama", commit, ""),
        ("org/llama", commit, commit),
        ("org/llama", commit, ""),
        ("org/llama", commit, commit),
    ]
    report = auditdb("report", "3", "-o", "out", cwd=tmp_path)
    assert report.code == 0
    said = json.loads((tmp_path / "out" / "endpoint.json").read_text())
    assert (said["root"], said["served_name"], said["version"]) == ("org/llama", "alias", "0.32.0")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["org/none", "--fast"], "org/none"),
        (["org/llama@v9", "--fast"], "has no revision 'v9'"),
        (["org/gated", "--fast"], "org/gated is gated (403)"),
    ],
    ids=["missing", "revision", "gated"],
)
def test_refusals_are_sentences(tmp_path: Path, arguments: list[str], words: str) -> None:
    with Hub() as hub:
        hub.add("org/llama", {"config.json": CONFIG})
        hub.add("org/gated", {"config.json": CONFIG}, access="gated")
        done = run(hub, tmp_path, *arguments, HF_TOKEN=TOKEN)
    assert (done.code, done.out) == (3, "")
    assert words in done.err and done.err.count("\n") == 1


def test_secrets_appear_nowhere(tmp_path: Path) -> None:
    """In stdout, stderr, the store's bytes, and every report file."""
    with Hub() as hub:
        hub.add("org/llama", {"config.json": CONFIG})
        served = cards({"id": "alias", "object": "model", "root": "org/llama", "parent": None})
        with endpoint(served, authorization=f"Bearer {KEY}") as server:
            url = server.url.replace("//", f"//user:{KEY}@")
            runs = [
                run(hub, tmp_path, "--endpoint", server.url, "--api-key", KEY, "--fast", HF_TOKEN=TOKEN),
                run(hub, tmp_path, "--endpoint", server.url, "--fast", HF_TOKEN=TOKEN, VLLM_API_KEY=KEY),
                run(hub, tmp_path, "--endpoint", server.url, "--fast", HF_TOKEN=TOKEN),
                run(hub, tmp_path, "--endpoint", url, "--fast", "--outdir", "reports", HF_TOKEN=TOKEN),
                run(hub, tmp_path, "org/none", "--fast", HF_TOKEN=TOKEN),
            ]
    assert [done.code for done in runs[:3]] == [0, 0, 3]
    assert "--api-key" in runs[2].err
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "hf-home" not in path.parts)
    said = "".join(done.out + done.err for done in runs)
    for secret in (TOKEN, KEY):
        assert secret not in said
        assert secret.encode() not in kept


def test_remote_code_runs_only_when_trusted(tmp_path: Path) -> None:
    """The folder's code writes a file when it is imported; without the flag no command makes it appear.

    It also talks, which is neither data nor a complaint.
    """
    folder, proof = tmp_path / "model", tmp_path / "it-ran"
    folder.mkdir()
    (folder / "modeling_own.py").write_text(
        f"from pathlib import Path\nPath({str(proof)!r}).write_text('ran')\n"
        "import sys, warnings\nprint('hello from import')\n"
        "import torch\nfrom transformers import PretrainedConfig, PreTrainedModel\n"
        "class OwnConfig(PretrainedConfig):\n    model_type = 'own'\n"
        "    def __init__(self, size=3, **rest):\n        self.size = size\n        super().__init__(**rest)\n"
        "class OwnModel(PreTrainedModel):\n    config_class = OwnConfig\n"
        "    def __init__(self, config):\n        super().__init__(config)\n"
        "        print('hello')\n        print('hello', file=sys.stderr)\n        warnings.warn('hello')\n"
        "        self.weight = torch.nn.Linear(config.size, config.size)\n        self.post_init()\n"
        "    def _init_weights(self, module):\n        pass\n"
    )
    (folder / "config.json").write_text(
        json.dumps(
            {
                "model_type": "own",
                "size": 5,
                "architectures": ["OwnModel"],
                "auto_map": {"AutoConfig": "modeling_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"},
            }
        )
    )
    for arguments in (["--fast"], ["--no-hooks"], [], ["--fast", "--hooks"], ["--fast", "--rebuild"]):
        done = auditdb("run", folder, *arguments, cwd=tmp_path)
        assert done.code == 3
        assert not proof.exists()
    done = auditdb("run", folder, "--fast", "--trust-remote-code", cwd=tmp_path)
    assert (done.code, proof.exists()) == (0, True)
    assert "hello" not in done.out + done.err
    connection = sqlite3.connect(tmp_path / "audit.db")
    assert connection.execute("SELECT path, length(sha256) FROM code_files").fetchall() == [("modeling_own.py", 64)]
    assert connection.execute("SELECT n_params, model_class FROM run_summary").fetchall() == [(30, "OwnModel")]
    connection.close()
    proof.unlink()
    for arguments in (["show", "latest"], ["report", "latest", "-o", "out"], ["verify"], ["list"]):
        assert auditdb(*arguments, cwd=tmp_path).code == 0
    assert not proof.exists()


def test_a_folder_of_headers_alone(tmp_path: Path) -> None:
    """No class fits and no code may run: the tree comes from the tensor names."""
    import numpy
    from safetensors.numpy import save_file

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps(
            {
                "model_type": "own",
                "auto_map": {"AutoModel": "m.M"},
                "n_routed_experts": 4,
                "num_experts_per_tok": 2,
                "num_hidden_layers": 1,
            }
        )
    )
    tensors = {"embed.weight": numpy.zeros((6, 2), "f4"), "layers.0.mlp.gate.weight": numpy.zeros((4, 2), "f4")}
    for expert in range(4):
        tensors[f"layers.0.mlp.experts.{expert}.up.weight"] = numpy.zeros((3, 2), "f4")
        tensors[f"layers.0.mlp.experts.{expert}.down.weight"] = numpy.zeros((2, 3), "f4")
    save_file(tensors, folder / "model.safetensors")
    done = auditdb("run", folder, "--fast", cwd=tmp_path)
    assert (done.code, done.err) == (0, "recorded as run 1 in audit.db\n")
    assert "from its checkpoint's headers, classes unknown" in done.out
    assert "1 group, 1 router, 4 routed experts (4 a group, top-2)" in done.out
    assert "SKIP  checkpoint    no model class was built" in done.out


def terabyte(n_shards: int) -> dict[str, bytes | Shard]:
    """A model of over a terabyte as a hub has it, of which only headers and index exist: DeepSeek-V3 in bfloat16 with
    its 45,395 tensors; a Mixtral of that size where transformers is too old for it."""
    from auditdb.inspect.build import build
    from auditdb.inspect.expected import expected_tensors

    if NEWEST:
        config = json.loads((EXAMPLES / "DeepSeek-V3" / "config.json").read_bytes())
        del config["quantization_config"]
    else:
        config = json.loads((EXAMPLES / "Mixtral-8x7B-v0.1" / "config.json").read_bytes())
        config |= {"hidden_size": 12_288, "intermediate_size": 32_768, "num_hidden_layers": 56}
    names = expected_tensors(build(config).model)
    files: dict[str, bytes | Shard] = {"config.json": json.dumps(config).encode()}
    weight_map, total = {}, 0
    for number in range(n_shards):
        shard = f"model-{number + 1:05d}-of-{n_shards:05d}.safetensors"
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        end = 0
        for tensor in names[number::n_shards]:
            size = 2
            for length in tensor.shape:
                size *= length
            header[tensor.name] = {"dtype": "BF16", "shape": tensor.shape, "data_offsets": [end, end + size]}
            weight_map[tensor.name] = shard
            end += size
        data = json.dumps(header).encode()
        files[shard] = Shard(data, 8 + len(data) + end)
        total += end
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    return files


def test_a_terabyte_by_its_headers(tmp_path: Path) -> None:
    """Under 20 MB move, not a byte of weights is asked for, and offline the store's headers serve."""
    with Hub() as hub:
        commit = hub.add("org/large", terabyte(163))
        sizes = [file.size for file in hub.repos["org/large"].commits[commit].values() if isinstance(file, Shard)]
        assert sum(sizes) > 1.05e12
        done = run(hub, tmp_path, f"org/large@{commit}", "--fast")
        # transformers 4.44.2 has something to say of an empty cache before that.
        assert (done.code, done.err.splitlines()[-1]) == (0, "recorded as run 1 in audit.db")
        assert "integrity    PASS: 8 passed, 1 skipped" in done.out
        if NEWEST:
            assert "45,395 tensors in 163 files, 671,026,419,200 stored numbers, 1.2 TiB" in done.out
        assert hub.weight_bytes_asked == 0
        assert hub.sent < 20_000_000
    offline = run(hub, tmp_path, f"org/large@{commit}", "--fast", HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    assert offline.code == 0
    assert "the checkpoint's headers are those that the store has of this commit" in offline.out
    assert "integrity    PASS: 8 passed, 1 skipped" in offline.out
