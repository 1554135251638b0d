# Adds up what the parts of a sweep say of their points, and shows what was wrong.
/points tried/ { tried += $3; hit += $8; violations += $10 }
!/^=== / { print }
END { printf "faults: %d points tried, %d hit, %d violations\n", tried, hit, violations }
