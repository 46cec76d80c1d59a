"""What a real worker cannot be made to do on demand: rebalances, gateways, nonsense."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import respx

from streams.connect.connect_errors import ConnectBusy, ConnectorMissing, ConnectRefused, ConnectUnreachable
from streams.connect.rest import Busy, ConnectClient
from streams.core.backoff import RetryPolicy

URL = "http://connect.test"
STATUS = {"name": "c", "connector": {"state": "RUNNING", "worker_id": "w"}, "tasks": [], "type": "source", "new": 1}
REBALANCE = httpx.Response(409, json={"error_code": 409, "message": "Cannot complete request momentarily due to rebalance."})


@pytest.fixture
async def client() -> AsyncIterator[ConnectClient]:
    async with ConnectClient(f"{URL}/", busy=Busy(calls=3, wait=RetryPolicy(0.0, 0.0))) as made:
        yield made


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


async def test_a_rebalance_is_waited_out(client: ConnectClient, api: respx.MockRouter) -> None:
    route = api.get(f"{URL}/connectors/c/status").mock(side_effect=[REBALANCE, REBALANCE, httpx.Response(200, json=STATUS)])
    assert (await client.status("c")).connector.state == "RUNNING"
    assert route.call_count == 3


async def test_a_change_is_repeated_too_with_the_same_body(client: ConnectClient, api: respx.MockRouter) -> None:
    route = api.put(f"{URL}/connectors/c/config").mock(side_effect=[REBALANCE, httpx.Response(201, json={})])
    await client.put_config("c", {"a": "1"})
    assert [call.request.content for call in route.calls] == [b'{"a":"1"}'] * 2


async def test_a_rebalance_without_end_is_given_up(client: ConnectClient, api: respx.MockRouter) -> None:
    route = api.put(f"{URL}/connectors/c/pause").mock(return_value=REBALANCE)
    with pytest.raises(ConnectBusy, match=r"PUT /connectors/c/pause: .*rebalance.*try again"):
        await client.pause("c")
    assert route.call_count == 3


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, text="<html>nginx</html>"),
        httpx.Response(500, json={"error_code": 500, "message": "Request timed out"}),
        httpx.Response(200, text="<html>hello</html>"),
        httpx.Response(200, json=[]),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("gone"),
    ],
)
async def test_no_usable_answer_is_one_error(
    client: ConnectClient, api: respx.MockRouter, answer: httpx.Response | Exception
) -> None:
    api.get(f"{URL}/connectors/c/status").mock(side_effect=[answer])
    with pytest.raises(ConnectUnreachable, match=r"GET /connectors/c/status: .*OWDD_CONNECT_URL") as caught:
        await client.status("c")
    assert "html" not in str(caught.value)


async def test_silence_says_how_long_it_was_waited_for(client: ConnectClient, api: respx.MockRouter) -> None:
    api.get(f"{URL}/health").mock(side_effect=httpx.ReadTimeout("slow"))
    with pytest.raises(ConnectUnreachable, match="no answer within 95 s"):
        await client.health()


async def test_a_refusal_carries_the_worker_s_words_without_our_secrets(client: ConnectClient, api: respx.MockRouter) -> None:
    said = {"error_code": 400, "message": "Invalid value hunter2 for configuration database.port."}
    api.put(f"{URL}/connectors/c/config").mock(return_value=httpx.Response(400, json=said))
    with pytest.raises(ConnectRefused, match=r"HTTP 400: Invalid value \*+ for configuration database.port") as caught:
        await client.put_config("c", {"database.password": "hunter2"})
    assert "hunter2" not in repr(caught.value) + str(caught.value.__dict__)


async def test_a_name_with_a_slash_stays_one_name(client: ConnectClient, api: respx.MockRouter) -> None:
    api.get(f"{URL}/connectors/a%2Fb%20c/config").mock(return_value=httpx.Response(404, json={"message": "none"}))
    with pytest.raises(ConnectorMissing, match="none"):
        await client.config("a/b c")
