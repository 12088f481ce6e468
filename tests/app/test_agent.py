"""The agent as its operator meets it: a process with flags, pages, signals and exit codes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.app.agents import PATIENCE, ROOT

pytestmark = pytest.mark.slow(reason="starts the agent")


def get(url: str, **headers: str) -> tuple[int, str, str]:
    try:
        with urlopen(Request(url, headers=headers), timeout=PATIENCE) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_it_serves_what_prometheus_can_read(agent):
    url = agent("--port", "0", "--tick-interval", "50ms").url()
    status, content_type, text = get(f"{url}/metrics")
    assert status == 200
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name in (
        "system_cpu_sysload_ratio",
        "system_cpu_syswait_ratio",
        "system_cpu_procload_ratio",
        "system_cpu_threads",
        "system_memory_held_bytes",
        "system_memory_used_bytes",
        "system_memory_pauses_seconds",
        "system_disk_readbytes",
        "system_disk_writebytes",
        "process_open_fds",
    ):
        assert name in families, sorted(families)
        assert families[name].documentation
    held = families["system_memory_held_bytes"].samples[0].value
    assert 1e6 < held < 1e10


@pytest.mark.skipif(
    not shutil.which("promtool") and not os.environ.get("CI"), reason="promtool is not installed"
)
def test_promtool_finds_nothing_to_complain_about(agent):
    url = agent("--port", "0").url()
    text = get(f"{url}/metrics")[2]
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_other_pages_answer(agent):
    url = agent("--port", "0", "--prefix", "geth").url()
    status, content_type, text = get(f"{url}/metrics.json")
    assert (status, content_type) == (200, "application/json")
    values = json.loads(text)
    assert set(values["geth/system/cpu/sysload"]) == {"value"}
    assert get(f"{url}/healthz")[0] == 200
    assert "<title>wired-metrics agent" in get(f"{url}/", accept="text/html")[2]
    assert get(f"{url}/dashboard/index.html")[0] == 200
    assert get(f"{url}/nothing")[0] == 404


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_part_by_part_and_nothing_is_left(agent, number):
    running = agent("--port", "0")
    running.url()
    running.process.send_signal(number)
    assert running.wait() == 0
    stopped = [line for line in running.lines if "stopped " in line]
    names = [re.search(r"stopped '(\w+)' \(", line)[1] for line in stopped if "ms)" in line]
    assert names == [
        "server",
        "ticking",
        "runtime",
        "process",
        "host",
        "registry",
        "ticker",
    ]
    assert running.lines[-1].endswith("stopped; left behind: nothing")
    assert any(number.name in line for line in running.lines)


def test_it_stops_by_itself_when_its_time_is_up(agent):
    running = agent("--port", "0", "--for", "100ms", program=["-m", "app"])
    assert running.wait() == 0
    assert running.lines[-1].endswith("left behind: nothing")


def test_connections_and_descriptors_of_the_parent_process_are_no_leaks(agent):
    reading, writing = os.pipe()
    try:
        running = agent("--port", "0", inherited=[reading])
        port = int(running.url().rpartition(":")[2])
        for page in ("metrics", "metrics.json", "healthz", "dashboard/index.html"):
            assert get(f"http://127.0.0.1:{port}/{page}")[0] == 200
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE),  # sends no request
            urlopen(f"http://127.0.0.1:{port}/dashboard/events", timeout=PATIENCE) as stream,
        ):
            assert stream.readline()
            running.process.terminate()
            assert running.wait() == 0
    finally:
        os.close(reading)
        os.close(writing)
    assert running.lines[-1].endswith("stopped; left behind: nothing")


LEAVING = """
import socket, subprocess, sys, tempfile, threading, time

from app import agent
from app.cli import main
from container import Container

def work():
    time.sleep(60)

def planted_thread():
    thread = threading.Thread(target=work, name="planted", daemon=True)
    thread.start()
    return thread

PLANTED = {
    "thread": planted_thread,
    "socket": lambda: socket.create_server(("127.0.0.1", 0)),
    "process": lambda: subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]),
    "file": lambda: tempfile.NamedTemporaryFile(prefix="planted"),
}

def leaving_container():
    left.append(PLANTED[kind]())
    return Container()

left, kind = [], sys.argv.pop(1)
agent.Container = leaving_container
code = main()
if kind == "process":
    left[0].kill()
    left[0].wait()
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("thread", r"thread 'planted' \(daemon\), now at\n.* in work"),
        ("socket", r"socket '127\.0\.0\.1:\d+' \(descriptor \d+\)"),
        ("process", r"process '.*time\.sleep\(60\)' \(pid \d+\)"),
        ("file", r"file '/.*planted.*' \(descriptor \d+\)"),
    ],
)
def test_each_leak_is_named_as_by_the_leak_check_and_fails_the_run(agent, kind, name):
    running = agent(kind, "--port", "0", "--for", "1ms", program=["-c", LEAVING])
    assert running.wait() == 1
    text = "\n".join(running.lines)
    assert re.search(rf"stopped; left behind: {name}$", text, re.MULTILINE)
    assert text.count("left behind") == 1
    assert "started at" not in text


def test_a_taken_port_is_one_line_and_everything_is_rolled_back(agent):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = agent("--port", str(port))
        assert running.wait() == 1
    assert "Traceback" not in "\n".join(running.lines)
    assert f"127.0.0.1:{port}" in running.lines[-1]
    assert running.lines[-1].startswith("wired-metrics: cannot listen on")
    started = [line for line in running.lines if "started" in line]
    stopped = [line for line in running.lines if "stopped" in line]
    assert len(started) == len(stopped) > 0


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ([], {"WIRED_METRICS_TICK_INTERVAL": "0"}, "wired-metrics: WIRED_METRICS_TICK_INTERVAL: "),
        (["--config", "missing.toml"], {}, "wired-metrics: --config: cannot read missing.toml"),
        (["--no-such-flag"], {}, "wired-metrics: No such option"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(agent, arguments, variables, message):
    running = agent(*arguments, **variables)
    assert running.wait() == 2
    assert len(running.lines) == 1
    assert running.lines[0].startswith(message)


def test_a_file_and_variables_set_it_up(agent, tmp_path):
    (tmp_path / "agent.toml").write_text('port = 0\nprefix = "mine"\nlog_level = "error"\n')
    running = agent(
        "--config", str(tmp_path / "agent.toml"), "--for", "100ms", WIRED_METRICS_LOG_LEVEL="info"
    )
    running.url()
    assert running.wait() == 0


def test_switched_off_it_serves_empty_pages(agent):
    url = agent("--port", "0", "--no-enabled").url()
    assert get(f"{url}/metrics")[::2] == (200, "")
    assert json.loads(get(f"{url}/metrics.json")[2]) == {}


def test_help_names_every_setting_and_its_variable():
    done = subprocess.run(
        [sys.executable, "-m", "app", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for flag in ("--config", "--host", "--port", "--tick-interval", "--for", "--no-enabled"):
        assert flag in done.stdout
    assert "WIRED_METRICS_PORT" in done.stdout
