#!/bin/bash
# A writer (see README.md) that starts redis-cli anew for each round trip.
host=$1 port=$2
writes=0 errors=0 last=0 gap=0 name='' last_name=''
while [ "$name" != stop ]; do
    if ! reply=$(printf 'SET counter %d\nGET name\n' $((writes + 1)) |
            redis-cli -h "$host" -p "$port" 2>&1) || [[ $reply != OK* ]]; then
        echo "error $reply"
        errors=$((errors + 1))
        continue
    fi
    name=${reply##*$'\n'}
    now=${EPOCHREALTIME/[.,]/}
    ((last > 0 && now - last > gap)) && gap=$((now - last))
    last=$now
    writes=$((writes + 1))
    [ "$name" = "$last_name" ] || echo "server $name"
    last_name=$name
done
printf 'writes %d\nerrors %d\ngap_us %d\n' "$writes" "$errors" "$gap"
