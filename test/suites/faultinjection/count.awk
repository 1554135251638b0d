# Sums the reports of a sweep's parts, and shows the violations.
/points tried/ { tried += $3; hit += $8; violations += $10 }
!/^=== / { print }
END { printf "faults: %d points tried, %d hit, %d violations\n", tried, hit, violations }
