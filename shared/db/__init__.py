"""Transactions and the durable hand-over: outbox, inbox, dead letters, timers, leases."""
