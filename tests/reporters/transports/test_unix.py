import socket
from itertools import count
from pathlib import Path

import pytest

from metrics.reporters._transports.transport import Rejected, Unavailable
from metrics.reporters._transports.unix import UnixDatagrams
from tests.reporters.receiving import received, unix_socket


def test_each_payload_is_a_datagram(tmp_path: Path):
    with unix_socket(tmp_path / "log") as sock:
        transport = UnixDatagrams(str(tmp_path / "log"))
        transport.send(b"one", 1)
        transport.send(b"two\n", 1)
        transport.close()
        assert received(sock) == [b"one", b"two\n"]


def test_a_daemon_that_comes_back_is_reached_again(tmp_path: Path):
    path = tmp_path / "log"
    transport = UnixDatagrams(str(path))
    with pytest.raises(Unavailable, match=r"log: .*No such file"):
        transport.send(b"before", 1)
    with unix_socket(path) as sock:
        transport.send(b"one", 1)
        assert received(sock) == [b"one"]
    with pytest.raises(Unavailable):
        transport.send(b"between", 1)
    with unix_socket(path) as sock:
        transport.send(b"two", 1)
        assert received(sock) == [b"two"]
    transport.close()


def test_a_socket_that_nobody_reads_is_refused(tmp_path: Path):
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
    with pytest.raises(Unavailable, match="Connection refused"):
        UnixDatagrams(str(path)).send(b"x", 1)


def test_a_daemon_that_does_not_keep_up_makes_nobody_wait_longer_than_told(tmp_path: Path):
    with unix_socket(tmp_path / "log") as sock:
        transport = UnixDatagrams(str(tmp_path / "log"))
        sent = []

        def fill() -> None:
            for number in count():
                transport.send(b"%d" % number, 0.05)
                sent.append(number)

        with pytest.raises(Unavailable, match=r"log: nothing was taken within 0\.05 s"):
            fill()
        assert [int(data) for data in received(sock)] == sent
        transport.send(b"again", 1)
        assert received(sock) == [b"again"]
        transport.close()


def test_a_payload_too_large_for_a_datagram_is_refused(tmp_path: Path):
    with unix_socket(tmp_path / "log"):
        transport = UnixDatagrams(str(tmp_path / "log"))
        with pytest.raises(Rejected, match=r"log: .*too long"):
            transport.send(b"x" * (1 << 22), 1)
        transport.send(b"x", 1)
        transport.close()


def test_a_stream_socket_is_no_daemon(tmp_path: Path):
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        with pytest.raises(Unavailable, match="log: "):
            UnixDatagrams(str(path)).send(b"x", 1)


@pytest.mark.parametrize(
    ("path", "error"), [(None, TypeError), ("", ValueError), ("a\0b", ValueError)]
)
def test_no_socket_can_be_there(path, error):
    with pytest.raises(error, match="invalid path"):
        UnixDatagrams(path)


def test_the_longest_path_of_a_socket_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    longest = "é" * 53 + "x"
    with unix_socket(Path(longest)) as sock:
        transport = UnixDatagrams(longest)
        transport.send(b"one", 1)
        transport.close()
        assert received(sock) == [b"one"]
    with pytest.raises(ValueError, match="use 1 to 107 bytes"):
        UnixDatagrams(longest + "x")
