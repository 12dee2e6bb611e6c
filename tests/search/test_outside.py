"""A network that fails is not called a disk, nor a disk a network: one line names which, where."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import requests
from pyarrow import fs

from search import cli


def unused_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def refused() -> None:
    with socket.create_connection(("127.0.0.1", unused_port())):
        pass


def too_late() -> None:
    raise TimeoutError


def by_urllib() -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{unused_port()}/runs")


def by_urllib_of_a_server_that_errs() -> None:
    raise urllib.error.HTTPError("http://mlflow.example/runs", 503, "Unavailable", None, None)  # type: ignore[arg-type]  # no headers


def by_requests() -> None:
    requests.get(f"http://127.0.0.1:{unused_port()}/api", timeout=5)


def by_requests_without_a_word() -> None:
    request = requests.Request("GET", "http://mlflow.example/api").prepare()
    raise requests.ReadTimeout(request=request)


def by_botocore() -> None:
    from botocore.exceptions import EndpointConnectionError

    raise EndpointConnectionError(endpoint_url="https://s3.example.com")


def unknown_name() -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def bad_certificate() -> None:
    raise ssl.SSLCertVerificationError(1, "certificate verify failed")


NETWORK: dict[str, tuple[Callable[[], None], list[str]]] = {
    "a connection that is refused": (refused, ["Connection refused"]),
    "a wait that is over": (too_late, ["TimeoutError"]),
    "urllib": (by_urllib, ["Connection refused"]),
    "urllib, a server that errs": (by_urllib_of_a_server_that_errs, ["http://mlflow.example/runs"]),
    "requests": (by_requests, ["127.0.0.1", "/api", "refused"]),
    "requests, no word": (by_requests_without_a_word, ["http://mlflow.example/api"]),
    "botocore": (by_botocore, ["https://s3.example.com"]),
    "a name that nobody has": (unknown_name, ["Name or service not known"]),
    "a certificate": (bad_certificate, ["certificate verify failed"]),
}


def line_of(
    fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What the command says of an error, and ends with."""
    monkeypatch.setattr(sys, "argv", ["longspan"])
    monkeypatch.setattr(cli, "app", lambda standalone_mode: fails())
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return str(line)


@pytest.mark.parametrize("case", NETWORK)
def test_a_network_that_fails_is_called_one(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails, named = NETWORK[case]
    line = line_of(fails, monkeypatch, capsys)
    assert line.startswith("longspan: network: ")
    assert "disk" not in line
    for name in named:
        assert name in line


def test_a_file_is_named_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = line_of((tmp_path / "no" / "such").touch, monkeypatch, capsys)
    assert line == f"longspan: {tmp_path}/no/such: No such file or directory"


def test_a_file_on_a_disk_that_does_not_answer_is_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mounted_from_afar() -> None:
        raise OSError(errno.ETIMEDOUT, "Connection timed out", "/mnt/runs/record.json")

    line = line_of(mounted_from_afar, monkeypatch, capsys)
    assert line == "longspan: /mnt/runs/record.json: Connection timed out"


def test_a_full_disk_is_called_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert line_of(full, monkeypatch, capsys) == "longspan: disk: No space left on device"


def test_a_bucket_says_itself_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Arrow's errors are an `OSError` of no number."""

    def away() -> None:
        there = fs.S3FileSystem(
            endpoint_override=f"127.0.0.1:{unused_port()}", scheme="http", anonymous=True,
            connect_timeout=1, request_timeout=1, retry_strategy=fs.AwsStandardS3RetryStrategy(1),
        )  # fmt: skip
        there.get_file_info("bucket/file")

    line = line_of(away, monkeypatch, capsys)
    assert "bucket" in line
    assert "disk" not in line


def test_a_fault_of_ours_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken() -> None:
        raise KeyError("reach")

    monkeypatch.setattr(sys, "argv", ["longspan"])
    monkeypatch.setattr(cli, "app", lambda standalone_mode: broken())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 70
    assert "KeyError: 'reach'" in capsys.readouterr().err
