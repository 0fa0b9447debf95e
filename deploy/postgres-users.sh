#!/bin/sh
# Makes one PostgreSQL user per role; `closed-loop migrate --grant` gives each its rights.
set -eu
for user in cl_ingest cl_loop cl_notify; do
  psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    -v name="$user" -v word="$ROLES_PASSWORD" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'word';
SQL
done
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  -c "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
