"""What the collector takes, over every protocol, and how it refuses what it cannot take."""

from __future__ import annotations

import gzip
import json
import os
import urllib.request
import zlib
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from running import Collector, post
from sending import CALL_COST, call, exporter, records, request, send_spans, tracer

from otel_llm_cost.core.semconv import SCOPE, to_attributes

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_span_of_the_real_exporter_is_priced_and_booked(
    collector: Collector, team: str, protocol: str
) -> None:
    sent = call(team, tags={"team": team, "feature": "rank", "shelf": "a"}, conversation_id="c1")
    send_spans(exporter(collector, protocol), [sent])
    (row,) = collector.rows(team)
    assert row["call_id"] == sent.call_id
    assert (row["kind"], row["signal"], row["service"], row["emitter"]) == (
        "usage", "span", "shop", "otel_llm_cost",
    )  # fmt: skip
    assert (row["effective_cost"], row["cost_status"]) == (CALL_COST, "priced")
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (1008, 8, 100)
    assert (row["feature"], row["tags"], row["conversation_id"]) == ("rank", {"shelf": "a"}, "c1")
    assert len(row["trace_id"]) == 32
    assert row["span_id"]


@pytest.mark.parametrize("compression", [Compression.Gzip, Compression.Deflate])
def test_a_compressed_request_is_taken(collector: Collector, team: str, compression: Compression) -> None:
    send_spans(exporter(collector, "http", compression), [call(team)])
    assert [row["calls"] for row in collector.spend("team", team=team)] == [1]


def test_otlp_json_means_the_same_as_protobuf(collector: Collector, team: str) -> None:
    message = request([to_attributes(call(team))])
    document = json_format.MessageToDict(message)
    span = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    # MessageToDict writes bytes as base64; OTLP/JSON wants ids in hexadecimal.
    sent = message.resource_spans[0].scope_spans[0].spans[0]
    span["traceId"], span["spanId"] = sent.trace_id.hex(), sent.span_id.hex()
    document["unknownField"] = {"ignored": True}
    status, body = post(f"http://{collector.http}/v1/traces", json.dumps(document).encode(), JSON)
    assert (status, body) == (200, b"{}")
    (row,) = collector.rows(team)
    assert (row["effective_cost"], row["trace_id"]) == (CALL_COST, sent.trace_id.hex())


def test_only_genai_spans_are_kept(collector: Collector, team: str) -> None:
    before = collector.health()
    with tracer(exporter(collector, "grpc"), "opentelemetry.instrumentation.requests") as spans:
        for _ in range(3):
            spans.start_span("GET", attributes={"http.request.method": "GET"}).end()
    others = ({"http.request.method": "GET"}, {"db.system": "sqlite"})
    message = request([others[0], to_attributes(call(team)), others[1]], scope="mixed")
    assert post(f"http://{collector.http}/v1/traces", message.SerializeToString(), PROTOBUF)[0] == 200
    after = collector.health()
    assert after["items_received_total"] - before["items_received_total"] == 6
    assert after["items_kept_total"] - before["items_kept_total"] == 1
    assert [row["calls"] for row in collector.spend("team", team=team)] == [1]


def test_metrics_are_accepted_and_not_booked(collector: Collector) -> None:
    message = ExportMetricsServiceRequest()
    message.resource_metrics.add().scope_metrics.add().metrics.add(name="gen_ai.client.token.usage")
    before = collector.health()["items_kept_total"]
    assert post(f"http://{collector.http}/v1/metrics", message.SerializeToString(), PROTOBUF)[0] == 200
    with grpc.insecure_channel(collector.grpc) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")
        assert export(message.SerializeToString(), timeout=10) == b""
    assert collector.health()["items_kept_total"] == before


def bad_inner_span() -> bytes:
    """A request that is well formed outside, with a broken attribute in a GenAI span."""
    body = request([{"gen_ai.request.model": "gpt-4o"}]).SerializeToString()
    return body.replace(b"gen_ai.request.model", b"gen_ai.request.mode\xff")


def spans_json(span: str) -> bytes:
    """An OTLP/JSON request with this span."""
    return f'{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{span}]}}]}}]}}'.encode()


MALFORMED: dict[str, tuple[bytes, dict[str, str], int]] = {
    "garbage": (b"\xff\xff garbage", PROTOBUF, 400),
    "invalid UTF-8 in a kept span": (bad_inner_span(), PROTOBUF, 400),
    "half JSON": (b"{", JSON, 400),
    "JSON list": (b"[]", JSON, 400),
    "object for list": (b'{"resourceSpans": {}}', JSON, 400),
    "id not hex": (spans_json('{"traceId": "xyz"}'), JSON, 400),
    "time not a number": (spans_json('{"startTimeUnixNano": "soon"}'), JSON, 400),
    "time negative": (spans_json('{"startTimeUnixNano": -1}'), JSON, 400),
    "name not text": (spans_json('{"name": 7}'), JSON, 400),
    "JSON too deep": (b"[" * 100_000, JSON, 400),
    "not gzip": (b"not gzip", {**PROTOBUF, "content-encoding": "gzip"}, 400),
    "gzip cut short": (gzip.compress(b"x" * 999)[:-9], {**PROTOBUF, "content-encoding": "gzip"}, 400),
    "unknown encoding": (b"", {**PROTOBUF, "content-encoding": "br"}, 400),
    "bomb": (zlib.compress(bytes(80 << 20)), {**PROTOBUF, "content-encoding": "deflate"}, 413),
    "content type": (b"", {"content-type": "text/plain"}, 415),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_is_refused_and_the_collector_lives(collector: Collector, case: str) -> None:
    body, headers, status = MALFORMED[case]
    answer, text = post(f"http://{collector.http}/v1/traces", body, headers)
    assert answer == status, text
    if headers is JSON:
        assert json.loads(text)["message"]
    assert collector.health()["status"] == "ok"


def test_an_empty_request_is_a_good_one(collector: Collector) -> None:
    assert post(f"http://{collector.http}/v1/traces", b"", PROTOBUF) == (200, b"")


@pytest.mark.parametrize("body", [b"\xff\xff garbage", bad_inner_span()], ids=["outside", "inside"])
def test_a_malformed_grpc_request_is_an_invalid_argument(collector: Collector, body: bytes) -> None:
    with grpc.insecure_channel(collector.grpc) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        with pytest.raises(grpc.RpcError) as refusal:
            export(body, timeout=10)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.value.details()


def test_a_request_that_is_too_large_is_refused_before_it_is_read(collector: Collector) -> None:
    import http.client

    connection = http.client.HTTPConnection(collector.http, timeout=10)
    connection.putrequest("POST", "/v1/traces")
    connection.putheader("content-type", "application/x-protobuf")
    connection.putheader("content-length", str(10**12))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    response.read()
    connection.close()


def test_a_span_whose_values_make_no_sense_goes_to_the_dead_letters_and_the_rest_is_booked(
    collector: Collector, team: str
) -> None:
    poison = {
        **to_attributes(call(team)),
        "llm_cost.attempt": "first",
        "gen_ai.input.messages": "secret words",
    }
    message = request([to_attributes(call(team)), poison, to_attributes(call(team))])
    before = collector.health()["rejected_total"]
    assert post(f"http://{collector.http}/v1/traces", message.SerializeToString(), PROTOBUF)[0] == 200
    assert [row["calls"] for row in collector.spend("team", team=team)] == [2]
    assert collector.health()["rejected_total"] == before + 1
    letters = (collector.folder / "spool/dead-letters.jsonl").read_text()
    letter = json.loads(letters.splitlines()[-1])
    assert "first" in letter["reason"]
    assert letter["attributes"]["gen_ai.request.model"] == "gpt-4o"
    assert "secret" not in letters


def test_wrong_paths_and_methods_are_told_so(collector: Collector) -> None:
    assert post(f"http://{collector.http}/v1/profiles", b"", PROTOBUF)[0] == 404
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"http://{collector.http}/v1/traces", timeout=10)
    with refusal.value as answer:
        assert answer.code == 405


def test_records_are_booked_like_spans(collector: Collector, team: str) -> None:
    sent = call(team)
    message = records([to_attributes(sent)])
    assert post(f"http://{collector.http}/v1/logs", message.SerializeToString(), PROTOBUF)[0] == 200
    (row,) = collector.rows(team)
    assert (row["call_id"], row["signal"], row["effective_cost"]) == (sent.call_id, "log", CALL_COST)


@pytest.mark.parametrize(("scope", "seconds"), [(SCOPE, 1.5), ("another.emitter", None)])
def test_a_record_of_ours_says_how_long_the_call_took(
    collector: Collector, team: str, scope: str, seconds: float | None
) -> None:
    message = records([to_attributes(call(team))], scope=scope)
    (record,) = message.resource_logs[0].scope_logs[0].log_records
    record.observed_time_unix_nano = record.time_unix_nano + 1_500_000_000
    assert post(f"http://{collector.http}/v1/logs", message.SerializeToString(), PROTOBUF)[0] == 200
    (row,) = collector.rows(team)
    assert row["duration_s"] == seconds


def test_the_apps_own_figure_is_kept_beside_ours(collector: Collector, team: str) -> None:
    from otel_llm_cost.core.cost import Cost

    sent = call(team, cost=Cost("priced", effective_atto=7 * 10**15))
    send_spans(exporter(collector, "http"), [sent])
    (row,) = collector.rows(team)
    assert (row["effective_cost"], row["app_cost"]) == (CALL_COST, "0.007")


def test_health_and_metrics_are_there_for_probes(collector: Collector) -> None:
    for address in (collector.http, collector.ui):
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
    with urllib.request.urlopen(f"http://{collector.ui}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    assert "# TYPE llm_cost_collector_spool_bytes gauge" in lines
    assert any(
        line.startswith('llm_cost_collector_requests_refused_total{reason="malformed"} ') for line in lines
    )


def test_queries_need_the_token(collector: Collector) -> None:
    url = f"http://{collector.ui}/v1/query/extent"
    assert post(url, b"{}", {})[0] == 401
    assert post(url, b"{}", {"authorization": "Bearer guess"})[0] == 401
    token: Any = json.loads((collector.folder / "collector.json").read_text())["token"]
    allowed = {"authorization": f"Bearer {token}"}
    assert post(url, b"{}", allowed)[0] == 200
    status, body = post(f"http://{collector.ui}/v1/query/drop", b"{}", allowed)
    assert (status, "no query drop" in json.loads(body)["error"]) == (400, True)
    assert post(url, b"no json", allowed)[0] == 400
    assert (collector.folder / "collector.json").stat().st_mode & 0o777 == 0o600
    assert os.environ.get("OTEL_LLM_COST_STORE") is None
