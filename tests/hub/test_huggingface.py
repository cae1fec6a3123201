"""The Hub's client against a local stand-in for its API."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from restyle.hub import huggingface
from restyle.hub.huggingface import model_card, push, repository_of
from restyle.io.checkpoints import CheckpointError

COMMIT = "0123456789" * 4
LOAD = """
import sys
import restyle
model = restyle.load(sys.argv[1], device="cpu")
print(model.name, model.weights_hash())
"""
PUSH = """
import sys
from restyle.hub.huggingface import push
print(push(sys.argv[1], sys.argv[2]))
"""


class StandIn:
    """A hub on this machine: repositories as dictionaries of files."""

    def __init__(self):
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.answer(head=True)

            def do_GET(self):
                self.answer()

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                stand_in.asked.append(f"POST {self.path}")
                stand_in.post(self, self.path.partition("?")[0], body)

            def answer(self, head=False):
                stand_in.asked.append(f"{self.command} {self.path}")
                stand_in.get(self, self.path.partition("?")[0], head)

            def send(self, status, content=b"", head=False, **headers):
                content = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if not head:
                    self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def get(self, http, path, head):
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            files = self.repositories.get("/".join(parts[2:4]))
            if files is None:
                return http.send(
                    404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound"
                )
            if "tree" in parts:
                tree = [
                    {"type": "file", "path": n, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                    for n, c in files.items()
                ]
                return http.send(200, tree, Content_Type="application/json")
            facts = {
                "id": "/".join(parts[2:4]),
                "sha": COMMIT,
                "siblings": [{"rfilename": name} for name in files],
            }
            return http.send(200, facts, Content_Type="application/json")
        files = self.repositories.get("/".join(parts[:2]), {})
        content = files.get("/".join(parts[4:]))
        if content is None:
            return http.send(404, {}, X_Error_Code="EntryNotFound")
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        return http.send(200, content, head, ETag=etag, X_Repo_Commit=COMMIT)

    def post(self, http, path, body):
        if path == "/api/repos/create":
            facts = json.loads(body)
            name = f"{facts.get('organization') or 'somebody'}/{facts['name']}"
            self.repositories.setdefault(name, {})
            return http.send(200, {"url": f"{self.address}/{name}", "name": name})
        if path == "/api/validate-yaml":
            return http.send(200, {"errors": [], "warnings": []})
        name = "/".join(path.strip("/").split("/")[2:4])
        if path.endswith("/preupload/main"):
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]
            return http.send(200, {"files": files})
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                value = entry["value"]
                self.repositories[name][value["path"]] = base64.b64decode(value["content"])
        facts = {"commitUrl": f"{self.address}/{name}/commit/{COMMIT}", "commitOid": COMMIT}
        return http.send(200, facts)


@pytest.fixture
def hub():
    stand_in = StandIn()
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()


@pytest.fixture
def run(hub, tmp_path):
    """Run a program whose Hub is the stand-in; the client reads its address when imported."""

    def run(code, *arguments):
        env = os.environ | {
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_TOKEN": "hf_nobody",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        env.pop("HF_HUB_OFFLINE", None)
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=100)

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.tiny import tiny_model

    path = tmp_path_factory.mktemp("model") / "tiny"
    tiny_model().save_pretrained(path)
    return path


def test_a_published_model_is_loaded_by_its_name(run, hub, folder):
    pushed = run(PUSH, folder, "somebody/tiny")
    assert pushed.stdout.strip() == f"{hub.address}/somebody/tiny/commit/{COMMIT}", pushed.stderr
    files = hub.repositories["somebody/tiny"]
    assert set(files) == {"config.json", "weights.safetensors", "README.md"}
    assert files["weights.safetensors"] == (folder / "weights.safetensors").read_bytes()
    assert b"library_name: restyle" in files["README.md"]
    found = run(LOAD, "somebody/tiny")
    assert found.returncode == 0, found.stderr
    assert "asking the Hugging Face Hub for somebody/tiny" in found.stderr
    here = run(LOAD, folder)
    assert found.stdout.split()[1] == here.stdout.split()[1]


def test_only_checkpoints_and_texts_are_fetched(run, hub, folder):
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.repositories["somebody/tiny"] = {**files, "setup.py": b"raise SystemExit(1)"}
    assert run(LOAD, "hf://somebody/tiny").returncode == 0
    assert not any("setup.py" in path for path in hub.asked if path.startswith("GET /somebody"))


@pytest.mark.parametrize(
    ("files", "said"),
    [(None, "expected a model on the Hugging Face Hub"), ({"a.txt": b"a"}, "got no config.json")],
)
def test_what_is_no_model_there_is_one_sentence(run, hub, files, said):
    if files is not None:
        hub.repositories["somebody/other"] = files
    code = LOAD.replace("import sys\n", "import sys\nfrom restyle.hub.downloads import *\n")
    found = run(code, "somebody/other")
    last = found.stderr.strip().splitlines()[-1]
    assert "DownloadError" in last and said in last


def test_an_existing_folder_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert repository_of("user/model") == repository_of("hf://user/model") == "user/model"
    (tmp_path / "user" / "model").mkdir(parents=True)
    assert repository_of("user/model") is None
    assert repository_of("hf://user/model") == "user/model"


@pytest.mark.parametrize("name", ["portraits", "a/b/c", "../b", "/tmp/b", "hf://b", ""])
def test_other_names_do_not_ask_the_hub(name):
    assert repository_of(name) is None


def test_bad_names_and_folders_are_refused_before_anything_is_sent(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface, "needed", lambda *_: pytest.fail("the Hub was asked"))
    with pytest.raises(ValueError, match="expected a name such as user/model, got 'tiny'"):
        push(folder, "tiny")
    with pytest.raises(CheckpointError, match="expected a checkpoint folder"):
        push(tmp_path, "somebody/tiny")


def test_a_card_says_its_licence(tmp_path):
    (tmp_path / "card.md").write_text("# Model\n")
    config = {"kind": "restyle", "card": {"licence": "MIT"}}
    card = model_card(tmp_path, config)
    assert card.startswith("---\nlicense: mit\n") and card.endswith("# Model\n")
    config["card"]["licence"] = "NVIDIA Source Code License, non-commercial"
    assert "license: other\n" in model_card(tmp_path, config)
