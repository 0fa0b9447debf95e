"""One linear history of the tables, for SQLite and PostgreSQL alike."""
