"""Owns a small hub on loopback that the real huggingface_hub client can be pointed at; serves headers of models of any
size without holding them, and counts what is asked of their weights."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.servers.loopback import Answer, Loopback, Request


@dataclass(frozen=True)
class Shard:
    """A safetensors file of `size` bytes of which only the header exists; its weights read as zeros."""

    header: bytes  # the JSON
    size: int

    @property
    def start(self) -> bytes:
        return len(self.header).to_bytes(8, "little") + self.header

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.header + str(self.size).encode()).hexdigest()

    def part(self, begin: int, end: int) -> bytes:
        return self.start[begin:end].ljust(end - begin, b"\0")


File = bytes | Shard


@dataclass
class Repo:
    """A model repository. `refs` name commits; `access`: '' open, else 'gated', 'private' or 'disabled'."""

    commits: dict[str, dict[str, File]]
    refs: dict[str, str]
    access: str = ""
    token: str = ""  # who shows this one may read it in spite of `access`


@dataclass
class Fault:
    """Of the requests whose path contains `path`, `times` after the first `spared` get `answer` instead."""

    path: str
    answer: Answer
    times: int = 10**9
    spared: int = 0


@dataclass
class Hub:
    """The hub and its store of large files, on two ports, so that redirects lead to another host."""

    repos: dict[str, Repo] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    ranges: bool = True  # whether the large-file store honours Range
    weight_bytes_asked: int = 0

    def __enter__(self) -> Hub:
        self.front: Loopback = Loopback(self._answer)
        self.store: Loopback = Loopback(self._answer_large)
        self.front.__enter__()
        self.store.__enter__()
        self.url = self.front.url
        return self

    def __exit__(self, *_: object) -> None:
        self.front.close()
        self.store.close()

    @property
    def sent(self) -> int:
        """Bytes that left either server."""
        return self.front.sent + self.store.sent

    @property
    def paths(self) -> list[str]:
        """METHOD PATH of each request to the hub itself."""
        return [f"{request.method} {unquote(request.path)}" for request in self.front.requests]

    def add(self, name: str, files: dict[str, File], *, branch: str = "main", **more: Any) -> str:
        """A repository with one commit on one branch; returns the commit."""
        commit = hashlib.sha1(f"{name}{branch}{sorted(files)}".encode()).hexdigest()
        repo = self.repos.setdefault(name, Repo({}, {}, **more))
        repo.commits[commit] = files
        repo.refs[branch] = commit
        return commit

    def _fault(self, request: Request) -> Answer | None:
        for fault in self.faults:
            if fault.path not in unquote(request.path):
                continue
            if fault.spared > 0:
                fault.spared -= 1
            elif fault.times > 0:
                fault.times -= 1
                return fault.answer
        return None

    def _answer(self, request: Request) -> Answer:
        if (fault := self._fault(request)) is not None:
            return fault
        path = urlsplit(request.path).path
        if found := re.fullmatch(r"/api/models/([^/]+(?:/[^/]+)?)(?:/revision/([^/]+))?", path):
            return self._info(request, unquote(found[1]), unquote(found[2] or "main"))
        if found := re.fullmatch(r"/([^/]+(?:/[^/]+)?)/resolve/([^/]+)/(.+)", path):
            return self._file(request, unquote(found[1]), unquote(found[2]), unquote(found[3]))
        return _refusal(404, "")

    def _refuse(self, request: Request, name: str, revision: str, *, file: bool) -> Answer | str:
        """A refusal, or the commit that is meant."""
        repo = self.repos.get(name)
        shown = request.headers.get("authorization", "")
        if repo is None or (repo.access == "private" and shown != f"Bearer {repo.token}"):
            # What the hub says to strangers, so that they can't tell a private model from a missing one.
            return _refusal(404, "RepoNotFound") if shown else _refusal(401, "", "Invalid username or password.")
        if repo.access == "disabled":
            return _refusal(403, "", "Access to this resource is disabled.")
        if file and repo.access == "gated" and shown != f"Bearer {repo.token}":
            return _refusal(403 if shown else 401, "GatedRepo", f"Access to model {name} is restricted.")
        commit = repo.refs.get(revision, revision)
        return commit if commit in repo.commits else _refusal(404, "RevisionNotFound")

    def _info(self, request: Request, name: str, revision: str) -> Answer:
        commit = self._refuse(request, name, revision, file=False)
        if isinstance(commit, Answer):
            return commit
        siblings = []
        for file, content in self.repos[name].commits[commit].items():
            entry: dict[str, Any] = {"rfilename": file, "size": _size(content), "blobId": "0" * 40}
            if isinstance(content, Shard):
                entry["lfs"] = {"sha256": content.sha256, "size": content.size, "pointerSize": 135}
            siblings.append(entry)
        info = {"_id": "1", "id": name, "modelId": name, "sha": commit, "private": False, "tags": [], "downloads": 0}
        return Answer(body=json.dumps({**info, "siblings": siblings}).encode(), headers=_JSON)

    def _file(self, request: Request, name: str, revision: str, file: str) -> Answer:
        commit = self._refuse(request, name, revision, file=True)
        if isinstance(commit, Answer):
            return commit
        content = self.repos[name].commits[commit].get(file)
        headers = {"X-Repo-Commit": commit}
        if content is None:
            refusal = _refusal(404, "EntryNotFound")
            refusal.headers.update(headers)
            return refusal
        if isinstance(content, Shard):
            large = {
                "X-Linked-Size": str(content.size),
                "X-Linked-ETag": f'"{content.sha256}"',
                "Location": f"{self.store.url}/{name}/{commit}/{file}?Signature=SIGNED",
            }
            return Answer(302, headers={**headers, **large})
        etag = hashlib.sha1(content).hexdigest()
        return _ranged(request, content, {**headers, "ETag": f'"{etag}"'})

    def _answer_large(self, request: Request) -> Answer:
        if (fault := self._fault(request)) is not None:
            return fault
        owner, name, commit, file = urlsplit(request.path).path[1:].split("/", 3)
        shard = self.repos[f"{unquote(owner)}/{unquote(name)}"].commits[commit][unquote(file)]
        assert isinstance(shard, Shard)
        begin, end = _wanted(request, shard.size) if self.ranges else (0, shard.size)
        self.weight_bytes_asked += max(0, end - max(begin, len(shard.start)))
        if begin >= shard.size:
            return Answer(416)
        end = min(end, begin + 50_000_000)  # enough to be counted; nobody is to ask for it
        ranged = {"Content-Range": f"bytes {begin}-{end - 1}/{shard.size}"} if self.ranges else {}
        return Answer(206 if self.ranges else 200, shard.part(begin, end), ranged)


_JSON = {"Content-Type": "application/json"}


def _refusal(status: int, code: str, message: str = "no") -> Answer:
    headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **_JSON}
    return Answer(status, json.dumps({"error": message}).encode(), headers)


def _size(content: File) -> int:
    return content.size if isinstance(content, Shard) else len(content)


def _wanted(request: Request, size: int) -> tuple[int, int]:
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if found is None:
        return 0, size
    return int(found[1]), min(size, int(found[2]) + 1) if found[2] else size


def _ranged(request: Request, content: bytes, headers: dict[str, str]) -> Answer:
    if "range" not in request.headers:
        return Answer(200, content, headers)
    begin, end = _wanted(request, len(content))
    if begin >= len(content):
        return Answer(416, headers={"Content-Range": f"bytes */{len(content)}"})
    return Answer(206, content[begin:end], {**headers, "Content-Range": f"bytes {begin}-{end - 1}/{len(content)}"})
