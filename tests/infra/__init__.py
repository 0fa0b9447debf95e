"""Real servers for tests: Kafka, PostgreSQL, nginx, a browser, a mail server, a receiver.

Each is a child process on free loopback ports with a data folder of its own, stopped by the
process id that was recorded when it started. ``fixtures.py`` hands them to the tests.
"""
