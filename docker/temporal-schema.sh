#!/bin/sh
# Brings Temporal's two databases to the schema of the server's version. Run before each start of the server; does
# nothing where the schema is there already. SQL_HOST, SQL_USER, SQL_PASSWORD: read by temporal-sql-tool too.
set -eu
SCHEMA=${TEMPORAL_SCHEMA_DIRECTORY:-/etc/temporal/schema}/postgresql/v12

bring_up() {
  database=$1 schema=$2
  tool="temporal-sql-tool --plugin postgres12 --endpoint $SQL_HOST --port ${SQL_PORT:-5432} --user $SQL_USER --database $database"
  if said=$($tool update-schema --schema-dir "$SCHEMA/$schema/versioned" 2>&1); then
    echo "$database has the schema of this version."
    return
  fi
  case $said in
    *'"schema_version\" does not exist'*) ;;
    *)
      # Whatever else is wrong is no reason to set up a schema where there may be one.
      echo "$said"
      return 1
      ;;
  esac
  echo "$database is empty: its schema is set up."
  $tool setup-schema --version 0.0
  $tool update-schema --schema-dir "$SCHEMA/$schema/versioned"
}

bring_up temporal temporal
bring_up temporal_visibility visibility
