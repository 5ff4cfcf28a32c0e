#!/bin/sh
# Makes the namespace and registers the search attributes. May be run again: what is there is left as it is.
# TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE are read by the Temporal CLI itself.
set -eu

try() {
  # try COUNT COMMAND…: every two seconds.
  left=$1
  shift
  until "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep 2
  done
}

# A namespace is known to every part of the server some seconds after it was made.
register() {
  known=$(temporal operator search-attribute list --output json) || return 1
  for name in AccountId SyncTrigger SyncOutcome; do
    case $known in
      *"\"$name\""*) ;;
      *) temporal operator search-attribute create --name "$name" --type Keyword || return 1 ;;
    esac
  done
}

try 60 temporal operator cluster health
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "${TEMPORAL_RETENTION:-72h}"
try 30 register
echo "Namespace $TEMPORAL_NAMESPACE is ready."
