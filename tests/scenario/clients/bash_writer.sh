#!/bin/bash
# A writer (see README.md) in bash alone, over /dev/tcp.
host=$1 port=$2
writes=0 errors=0 last=0 gap=0 name='' last_name='' connected=''

fail() {
    echo "error $1"
    errors=$((errors + 1))
    [ -n "$connected" ] && exec 3>&-
    connected=''
}

trap '' PIPE # a write to a dead server is an error here, not the end
while [ "$name" != stop ]; do
    if [ -z "$connected" ]; then
        { exec 3<>"/dev/tcp/$host/$port"; } 2>/dev/null || { fail connect; continue; }
        connected=yes
    fi
    printf 'SET counter %d\r\nGET name\r\n' $((writes + 1)) 2>/dev/null >&3 || { fail write; continue; }
    { read -r && read -r && read -r name; } <&3 || { fail read; continue; }
    name=${name%$'\r'}
    now=${EPOCHREALTIME/[.,]/}
    ((last > 0 && now - last > gap)) && gap=$((now - last))
    last=$now
    writes=$((writes + 1))
    [ "$name" = "$last_name" ] || echo "server $name"
    last_name=$name
done
printf 'writes %d\nerrors %d\ngap_us %d\n' "$writes" "$errors" "$gap"
