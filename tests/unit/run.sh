#!/bin/sh
# Runs the unit tests given (executables), shows what failed, and ends with
# "N passed, N failed", counted in test cases. A program that dies counts its
# unfinished cases as failed.
passed=0
failed=0

for program; do
	log=$program.log
	timeout "${UNIT_TIMEOUT:-300}" "$program" >"$log" 2>&1
	status=$?
	# Newer versions of cmocka put the group's name before "Running".
	all=$(sed -n "s/^\[==========\].* Running \([0-9]*\) test.*/\1/p" "$log" |
		awk '{ n += $1 } END { print n + 0 }')
	good=$(grep -c '^\[       OK \]' "$log")
	bad=$((all - good))
	[ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
	passed=$((passed + good))
	failed=$((failed + bad))
	if [ "$bad" -ne 0 ]; then
		echo "FAIL ${program##*/} (status $status), from ${log#../../}:"
		grep -v '^\[       OK \]\|^\[ RUN ' "$log" | tail -n 60
	else
		echo "ok   ${program##*/}: $good"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
