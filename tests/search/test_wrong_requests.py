"""What MLflow's server answers to rows that a model does not take."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from mlflow.models import Model as LoggedModel

from search.recording.logged_model import signature
from tests.search.untrained import of_file, write
from trainables.exports import pyfunc

pytestmark = pytest.mark.usefixtures("scoring_server")


def test_a_client_is_told_what_is_wrong_with_its_rows(tmp_path: Path) -> None:
    """Status 400 and our one line, not that something went wrong."""
    from mlflow.pyfunc import PyFuncModel
    from mlflow.pyfunc.scoring_server import init

    asked = of_file(tmp_path, "features")
    folder = write(tmp_path / "export", asked, "gru")
    encoding = asked.task.encoding
    about = LoggedModel(
        signature=signature(encoding),
        flavors={"python_function": {"loader_module": pyfunc.__name__}},
    )
    app = init(PyFuncModel(about, pyfunc._load_pyfunc(str(folder))))
    for body, said in (
        ({"dataframe_records": [{"x": [[1.0, None]]}]}, "rows: 'x' has a null in row 0"),
        ({"dataframe_records": [{"y": [[1.0, 2.0]]}]}, "rows: 'x' is not a column of the table"),
        ({"inputs": [[[1.0, 2.0, 3.0]]]}, "has 3 values a step; this model takes 2"),
        ({"inputs": [[[1.0, 2.0]]], "params": {"gap": 10**7}}, "gap: 10000000 is not allowed"),
        ({"inputs": [[[1.0, 2.0]]], "params": {"gap": -7}}, "gap: -7 is not allowed"),
    ):
        status, told = asyncio.run(posted(app, json.dumps(body).encode()))
        assert (status, told["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert said in told["message"].splitlines()[-1]
        assert "stack_trace" not in told


async def posted(app: Any, body: bytes) -> tuple[int, Any]:
    """Status and content of the answer to a request to ``/invocations``."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
             "scheme": "http", "path": "/invocations", "raw_path": b"/invocations",
             "query_string": b"", "root_path": "", "headers": headers, "client": ("127.0.0.1", 1),
             "server": ("127.0.0.1", 80)}  # fmt: skip
    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(content)
