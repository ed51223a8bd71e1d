"""Alert rules as the JSON that Grafana provisions.

Rules run in Grafana's backend: they know the macros of the time range and no variables of a dashboard.
Format: https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/
(read 2026-11-24).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from otel_llm_cost.panels.filters import UNTAGGED
from otel_llm_cost.panels.grafana import PLUGIN
from otel_llm_cost.panels.grafana_sql import plain_sql
from otel_llm_cost.panels.rules import RULES, Rule

DATASOURCE_UID: Final = "llm-cost-ledger"
"""As `dashboards/provisioning/datasources` names it: a rule cannot choose its data source by a variable."""
FOLDER: Final = "LLM cost"


def rules_text(rules: Sequence[Rule] = RULES) -> str:
    """The file that is provisioned: rules that are looked at equally often make a group."""
    often = sorted({rule.every_s for rule in rules})
    groups = [
        {
            "orgId": 1,
            "name": f"LLM cost, every {seconds // 60} min",
            "folder": FOLDER,
            "interval": f"{seconds}s",
            "rules": [_rule(rule) for rule in rules if rule.every_s == seconds],
        }
        for seconds in often
    ]
    return json.dumps({"apiVersion": 1, "groups": groups}, indent=2, ensure_ascii=False) + "\n"


def rule_sql(rule: Rule) -> str:
    """One row per alert: its labels as texts and one number."""
    labels = "".join(f"if({name} = '', '{UNTAGGED}', {name}) AS {name}_, " for name in rule.labels)
    renamed = "".join(f"{name}_ AS `{name}`, " for name in rule.labels)
    inner = (
        f"SELECT {labels}toFloat64({rule.column}) AS number\nFROM\n(\n{plain_sql(rule.query, rule.params)}\n)"
    )
    return f"SELECT {renamed}number AS value\nFROM\n(\n{inner}\n)\nWHERE isNotNull(number)"


def _rule(rule: Rule) -> dict[str, Any]:
    range_ = {"from": rule.range_s, "to": 0}
    return {
        "uid": f"llm-cost-{rule.name}",
        "title": rule.title,
        "condition": "B",
        "data": [
            {
                "refId": "A",
                "relativeTimeRange": range_,
                "datasourceUid": DATASOURCE_UID,
                "model": {
                    "refId": "A",
                    "datasource": {"type": PLUGIN, "uid": DATASOURCE_UID},
                    "editorType": "sql",
                    "format": 1,
                    "queryType": "table",
                    "rawSql": rule_sql(rule),
                    "intervalMs": 60_000,
                    "maxDataPoints": 1000,
                },
            },
            {
                "refId": "B",
                "relativeTimeRange": range_,
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "B",
                    "datasource": {"type": "__expr__", "uid": "__expr__"},
                    "type": "threshold",
                    "expression": "A",
                    "conditions": [{"evaluator": {"type": "gt", "params": [rule.above]}}],
                },
            },
        ],
        "noDataState": "OK",  # no row: there is nothing to say
        "execErrState": "Error",
        "for": f"{rule.for_s}s",
        "annotations": {"summary": _summary(rule), "description": rule.to_do},
        "labels": {"severity": rule.severity, "product": "llm-cost"},
        "isPaused": False,
    }


def _summary(rule: Rule) -> str:
    who = ", ".join(f"{{{{ $labels.{name} }}}}" for name in rule.labels)
    return f"{rule.title}{f': {who}' if who else ''} ({{{{ $values.A.Value }}}})"
