#!/bin/bash
# A writer (see README.md) that feeds one redis-cli through a pipe. redis-cli itself connects anew and
# repeats a command whose connection was lost, so there is nothing to report in `errors`.
host=$1 port=$2
writes=0 last=0 gap=0 name='' last_name=''
coproc cli { exec redis-cli -h "$host" -p "$port" 2>/dev/null; }
while [ "$name" != stop ]; do
    printf 'SET counter %d\nGET name\n' $((writes + 1)) >&"${cli[1]}"
    IFS= read -r reply <&"${cli[0]}" || { echo "error redis-cli ended"; exit 1; }
    [ "$reply" = OK ] || continue
    IFS= read -r name <&"${cli[0]}" || { echo "error redis-cli ended"; exit 1; }
    now=${EPOCHREALTIME/[.,]/}
    ((last > 0 && now - last > gap)) && gap=$((now - last))
    last=$now
    writes=$((writes + 1))
    [ "$name" = "$last_name" ] || echo "server $name"
    last_name=$name
done
printf 'writes %d\nerrors 0\ngap_us %d\n' "$writes" "$gap"
