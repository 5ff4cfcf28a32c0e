#!/bin/sh
# Run once by the PostgreSQL image, on an empty volume: a role with databases of its own for the application and for
# Temporal, so that neither can read or break what belongs to the other. The application has a second role, without
# rights of its own: "migrate --grant-to" gives it what the worker needs.
set -eu

create() {
  role=$1 password=$2
  shift 2
  psql -v ON_ERROR_STOP=1 -v role="$role" -v password="$password" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
create role :"role" login password :'password';
SQL
  for database; do
    psql -v ON_ERROR_STOP=1 -v role="$role" -v database="$database" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
create database :"database" owner :"role" template template0 encoding 'UTF8';
revoke connect, temporary on database :"database" from public;
SQL
  done
}

create allegro_stock_sync "$SYNC_DATABASE_PASSWORD" allegro_stock_sync
create allegro_stock_sync_worker "$SYNC_WORKER_PASSWORD"
create temporal "$TEMPORAL_DATABASE_PASSWORD" temporal temporal_visibility
