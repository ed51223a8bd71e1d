"""What `opentelemetry-instrument` imports first: our settings as its flags, and a protocol that is installed.

OpenTelemetry's distro asks for OTLP over gRPC. Where that exporter is absent, as with our own dependencies,
its configurator raises, no instrumentor loads and nothing is exported. So the protocol is chosen here, unless
the user chose one. Every name below that starts with `OTEL_` becomes a flag (`--llm_cost_tags team=search`);
a name that another package has made a flag already would end the command, so OpenTelemetry's own stay inside.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import MutableMapping
from importlib.util import find_spec

OTEL_LLM_COST_TAGS = "OTEL_LLM_COST_TAGS"
OTEL_LLM_COST_MODE = "OTEL_LLM_COST_MODE"
OTEL_LLM_COST_RECORD = "OTEL_LLM_COST_RECORD"
OTEL_LLM_COST_METRIC_TAGS = "OTEL_LLM_COST_METRIC_TAGS"
OTEL_LLM_COST_BAGGAGE_KEYS = "OTEL_LLM_COST_BAGGAGE_KEYS"
OTEL_LLM_COST_SELF_HOSTED = "OTEL_LLM_COST_SELF_HOSTED"

_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_GRPC_PORT = re.compile(r"(?<=:)4317(?=/?$)")


def has_grpc_exporter() -> bool:
    """Whether OTLP over gRPC can be exported here. Imports nothing of it."""
    try:
        return all(map(find_spec, ("grpc", "opentelemetry.exporter.otlp.proto.grpc")))
    except ImportError:  # a parent package is absent
        return False


def choose_protocol(environ: MutableMapping[str, str]) -> None:
    """Have the exporters speak HTTP where they cannot speak gRPC; a protocol that the user chose stays.

    An endpoint on gRPC's port (4317) cannot answer HTTP, so it becomes HTTP's (4318), with a warning.
    """
    if environ.get(_PROTOCOL, "").strip() or has_grpc_exporter():
        return
    environ[_PROTOCOL] = "http/protobuf"
    endpoint = environ.get(_ENDPOINT, "").strip()
    over_http = _GRPC_PORT.sub("4318", endpoint)
    if over_http != endpoint:
        environ[_ENDPOINT] = over_http
        logging.getLogger("otel_llm_cost").warning(
            "%s names gRPC's port 4317, but opentelemetry-exporter-otlp-proto-grpc is not installed: sending "
            "over HTTP to port 4318; set the endpoint to that port, or install the exporter",
            _ENDPOINT,
        )


choose_protocol(os.environ)
