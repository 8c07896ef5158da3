#!/bin/bash
# A reader (otherwise as the writers of README.md) that feeds one redis-cli through a pipe, 50 commands a
# second whether they are answered or not: redis-cli connects anew by itself, and drops the command
# whose answer was lost.
host=$1 port=$2
reads=0 last=0 gap=0 name='' last_name=''
feed() { while printf 'GET name\n'; do sleep 0.02; done; }
coproc cli { exec redis-cli -h "$host" -p "$port" < <(feed 2>/dev/null) 2>/dev/null; }
# shellcheck disable=SC2154 # coproc sets it
pid=$cli_PID
while [ "$name" != stop ] && IFS= read -r name <&"${cli[0]}"; do
    [ -n "$name" ] || continue
    now=${EPOCHREALTIME/[.,]/}
    ((last > 0 && now - last > gap)) && gap=$((now - last))
    last=$now
    reads=$((reads + 1))
    [ "$name" = "$last_name" ] || echo "server $name"
    last_name=$name
done
kill "$pid"
printf 'writes %d\nerrors 0\ngap_us %d\n' "$reads" "$gap"
