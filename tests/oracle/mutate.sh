#!/bin/bash
# mutate.sh: put bugs into the library, one at a time, and see how
# soon the oracle finds each. In the environment: CODE, the sources
# of the library; ORACLE, those of the oracle; and ORDER.
: "${CODE:?}" "${ORACLE:?}"
libs=$(/usr/bin/python3-config --embed --ldflags)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

try() { # FILE SED-SCRIPT; says when it was found
    rm -rf "$work"/*
    cp "$CODE"/*.[ch] "$work"
    sed -i "$2" "$work/$1" || return
    if cmp -s "$CODE/$1" "$work/$1"; then
        echo "the edit changes nothing"
        return 1
    fi
    gcc -std=gnu11 -O1 -w -I"$work" -isystem /usr/include/python3.11 \
        -o "$work/oracle" "$work"/*.c "$ORACLE"/*.c $libs || return
    SHRINK=no timeout 60 "$work/oracle" 1 20000 500 > "$work/log"
    grep '^found' "$work/log" || { echo "not found"; return 1; }
}

failed=0
while IFS= read -r -d '' bug; do
    first=${bug%%$'\n'*} edit=${bug#*$'\n'}
    name=${first#*: } file=${first%%: *}
    if [[ $file == 'ORDER=list '* ]]; then
        [[ $ORDER == list ]] || continue
        file=${file#* }
    fi
    told=$(try "$file" "$edit") || failed=1
    printf '%-58s %s\n' "$name" "$told"
done < <(gawk -v RS= -v ORS='\0' 1 "$ORACLE/mutations.txt")
exit $failed
