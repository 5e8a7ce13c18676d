# mapped.awk: count what became of CPython's tests.
#   gawk -f mapped.awk mapped.txt OUTPUT-OF-THE-TESTS
FNR == NR && /^test_/ { module = $1; next }
FNR == NR && /^[YAN] / {
    number[module]++
    kinds[module, $1]++
    if ($1 == "N") next
    in_module[++promised] = module
    ours[promised] = $2
}
FNR == NR && / > / { ours[promised] = $NF }
FNR == NR && /^    / { ours[promised] = $1 }
FNR == NR { next }
match($0, /^\[ +(OK|SKIPPED|FAILED) +\] (test|[A-Z])/) {
    sub(/^\[ +/, ""); split($0, words, / +\] /)
    sub(/ +$/, "", words[1])
    result[words[2]] = words[1]
}
END {
    print "module             tests    Y    A    N  passed  skipped"
    for (i = 1; i <= promised; i++) {
        outcome[in_module[i], result[ours[i]]]++
        if (result[ours[i]] ~ /OK|SKIPPED/) continue
        print "missing or failed: " ours[i]
        bad = 1
    }
    PROCINFO["sorted_in"] = "@ind_str_asc"
    for (m in number)
        printf "%-18s %5d %4d %4d %4d %7d %8d\n", m, number[m],
            kinds[m, "Y"], kinds[m, "A"], kinds[m, "N"],
            outcome[m, "OK"], outcome[m, "SKIPPED"]
    exit bad
}
