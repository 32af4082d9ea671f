"""Who may hold how much: standing and limits, admission, queue order, the Verdict, the ledger."""
