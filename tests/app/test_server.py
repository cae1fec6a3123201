"""The page as it is served: what it offers to whom, without a browser."""

import json
import re
import secrets
import subprocess
import sys

import pytest

gr = pytest.importorskip("gradio")
httpx = pytest.importorskip("httpx")

from restyle.app.drag import EVERYTHING  # noqa: E402 - after the check for Gradio
from restyle.app.server import build, launch  # noqa: E402
from restyle.app.settings import Page  # noqa: E402
from restyle.domains import Domain  # noqa: E402
from restyle.model import ReStyle  # noqa: E402
from tests.ports import free_port  # noqa: E402
from tests.tiny import SIZE, picture, tiny_generator, tiny_model  # noqa: E402


def labels(blocks):
    return {
        getattr(block, "label", None) or getattr(block, "value", None) for block in shown(blocks)
    }


def shown(blocks):
    return [block for block in blocks.blocks.values() if getattr(block, "visible", True)]


def test_what_a_model_cannot_do_is_not_shown():
    whole = labels(build(tiny_model()))
    assert {"Invert", "Drag", "Find it", "Your picture", "Steps"} <= whole
    assert "Edit" not in whole  # the tiny model has no directions
    single = labels(build(tiny_model(input_channels=3)))
    assert "Find it" in single and "Steps" not in single
    alone = labels(build(ReStyle(tiny_generator(), None, Domain("any", (SIZE, SIZE)), "any")))
    toon = tiny_model(1)
    assert "Make a toon" not in whole and "Make a toon" in labels(build(tiny_model(), toon))
    assert "Take a sample instead" in alone and not {"Find it", "Your picture"} & alone


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder)
    blocks = launch(Page(model=str(folder), port=free_port(), device="cpu"))
    yield blocks
    blocks.close()


@pytest.fixture(scope="module")
def address(blocks):
    return f"http://127.0.0.1:{blocks.server_port}"


def test_nothing_is_public_and_nothing_comes_from_elsewhere(address):
    page = httpx.get(address).text
    loaded = re.findall(r'(?:src|href)="(https?://[^"]+)"', page)
    assert not [url for url in loaded if not url.startswith((address, "https://gradio.app"))]
    assert httpx.get(f"{address}/gradio_api/info").json() == {
        "named_endpoints": {},
        "unnamed_endpoints": {},
    }
    config = httpx.get(f"{address}/config").json()
    assert {one["api_visibility"] for one in config["dependencies"]} == {"private"}
    assert config["analytics_enabled"] is False


def test_gradio_is_imported_without_its_stubs():
    code = """
import inspect
from pathlib import Path
from restyle.app.server import without_stubs
read, suffixes = Path.read_text, []
Path.read_text = lambda path, **how: suffixes.append(path.suffix) or read(path, **how)
with without_stubs():
    import gradio
print(suffixes.count(".pyi"), inspect.getfile(gradio.Image))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    count, file = result.stdout.split()
    assert count == "0" and file.endswith("image.py")


def test_events_are_not_kept(address, blocks):
    for _ in range(2):
        called(address, "Drag", [None, "1,1 > 2,2", None, EVERYTHING, 60])
    assert len(blocks._queue.event_analytics) <= 1
    assert not blocks._queue.cached_event_analytics_summary["functions"]


def test_uploads_are_bounded_and_files_of_the_server_are_not_given(address):
    send = f"{address}/gradio_api/upload"
    large = httpx.post(send, files={"files": ("me.png", b"x" * 22_000_000)}, timeout=60)
    assert large.status_code == 413
    for path in ("/etc/passwd", "../../etc/passwd", __file__):
        assert httpx.get(f"{address}/gradio_api/file={path}").status_code in (403, 404)


def called(address, label, data):
    """Call what a button does by hand, as no browser would; return the messages of the queue."""
    config = httpx.get(f"{address}/config").json()
    [button] = [c["id"] for c in config["components"] if c["props"].get("value") == label]
    [number] = [d["id"] for d in config["dependencies"] if [button, "click"] in d["targets"]]
    session = secrets.token_hex()
    body = {"data": data, "fn_index": number, "session_hash": session, "trigger_id": button}
    joined = httpx.post(f"{address}/gradio_api/queue/join", json=body)
    assert joined.status_code == 200, joined.text
    url, messages = f"{address}/gradio_api/queue/data?session_hash={session}", []
    with httpx.stream("GET", url, timeout=60) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                messages.append(json.loads(line[5:]))
                if messages[-1]["msg"] in ("process_completed", "close_stream"):
                    return messages
    return messages


@pytest.mark.parametrize(
    ("button", "options"), [("Find it", [False, False, 5]), ("Use this picture", [False])]
)
def test_a_call_by_hand_reads_no_file_of_the_server(address, tmp_path, button, options):
    private = picture(tmp_path / "private.png")
    meta = {"meta": {"_type": "gradio.FileData"}}
    for file in ({"path": str(private)} | meta, {"path": str(private)}):
        *_, last = called(address, button, [file, *options])
        assert last["msg"] == "process_completed" and not last["success"]
        assert str(tmp_path) not in json.dumps(last["output"].get("data"))
    with private.open("rb") as stream:  # what was uploaded is read
        sent = httpx.post(f"{address}/gradio_api/upload", files={"files": ("me.png", stream)})
    *_, last = called(address, button, [{"path": sent.json()[0]} | meta, *options])
    assert last["success"]


def test_a_call_by_hand_of_somebody_who_uploaded_nothing_is_refused(address):
    *_, last = called(address, "Drag", [None, "1,1 > 2,2", None, EVERYTHING, 10**9])
    assert not last["success"] and "maximum" in last["output"]["error"]
    *_, last = called(address, "Drag", [None, "1,1 > 2,2", None, EVERYTHING, 60])
    assert not last["success"]
    assert last["output"]["error"] == "First find a picture, or take a sample, under Invert."
