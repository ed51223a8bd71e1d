"""OTLP in, ledger rows out: receive ▸ spool ▸ normalise ▸ dedupe ▸ price ▸ insert (design D8)."""
