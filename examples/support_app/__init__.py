"""A small support product with three teams, the example that `otel-llm-cost demo` runs."""
